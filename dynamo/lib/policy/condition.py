"""Conditions on replicas and on sites."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from dynamo.dataformat.blockreplica import BlockReplica
from dynamo.dataformat.datasetreplica import DatasetReplica
from dynamo.dataformat.enumeration import Enumeration
from dynamo.dataformat.partition import Reach
from dynamo.dataformat.site import Site
from dynamo.dataformat.sitepartition import SitePartition
from dynamo.policy.dates import parse_time
from dynamo.policy.expression import Expression, InvalidExpression, parse_expression
from dynamo.policy.predicates import KINDS, Test
from dynamo.policy.variables import REPLICA_VARIABLES, SITE_CONDITION_VARIABLES, Level, Variable


class Condition:
    """A condition that has been read and can be asked.

    Relative times count from `now` (Unix seconds), by default the moment of reading.
    """

    def __init__(self, text: str, variables: dict[str, Variable], now: float | None = None) -> None:
        """Raises InvalidExpression for what cannot be read."""
        self.text = text.strip()
        moment = time.time() if now is None else now
        expression = parse_expression(text)
        self.predicates: list[tuple[Variable, Test]] = []
        self.kinds: list[str] = []
        self.names: list[str] = []
        for term in expression.terms:
            variable = variables.get(term.variable)
            if variable is None:
                raise InvalidExpression(text, term.position, f"Unknown variable {term.variable}")
            self.predicates.append((variable, variable.type.test(term, text, moment)))
            self.kinds.append(KINDS[term.operator])
            self.names.append(term.variable)
        self.required_attrs = sorted({variable.attr for variable, _ in self.predicates if variable.attr})
        self.time_condition = (
            f"{expression.time_word} {expression.time_text}" if expression.time_word else None
        )
        self.in_force = _in_force(expression, moment)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"


class ReplicaCondition(Condition):
    """A condition on dataset replicas or block replicas."""

    def __init__(self, text: str, now: float | None = None) -> None:
        super().__init__(text, REPLICA_VARIABLES, now)
        self._tests = [_of_block_replica(variable, test) for variable, test in self.predicates]

    @property
    def reach(self) -> Reach:
        """How far away the facts lie that the answer for a block replica depends on."""
        return max(variable.reach for variable, _ in self.predicates)

    def match(self, replica: BlockReplica | DatasetReplica, /) -> bool:
        """Does it hold?

        Of a dataset replica a variable of block replicas holds when it does for any of them, each predicate by
        itself.  Raises OperationalError when a variable means nothing for this replica.
        """
        if not self.in_force:
            return False
        if isinstance(replica, BlockReplica):
            return all(test(replica) for test in self._tests)
        return all(_holds(variable, test, replica) for variable, test in self.predicates)

    def values(self, replica: DatasetReplica) -> dict[str, Any]:
        """What its variables are for a replica: of blocks one value for each, by name."""
        variables = (variable for variable, _ in self.predicates)
        return replica_values(zip(self.names, variables, strict=True), replica)


def replica_values(named: Iterable[tuple[str, Variable]], replica: DatasetReplica) -> dict[str, Any]:
    """What variables are for a replica: of blocks one value for each, by name."""
    found: dict[str, Any] = {}
    for name, variable in named:
        match variable.level:
            case Level.DATASET:
                found[name] = variable.get(replica.dataset)
            case Level.REPLICA:
                found[name] = variable.get(replica)
            case Level.SITE:
                found[name] = variable.get(replica.site)
            case _:
                members = sorted(replica.block_replicas, key=lambda member: member.block.name)
                found[name] = {member.block.name: variable.get(member) for member in members}
        found[name] = _in_words(variable, found[name])
    return found


def _in_words(variable: Variable, value: Any) -> Any:
    if isinstance(value, int) and isinstance(variable.type.words, Enumeration):
        return variable.type.words.name(value).upper()
    return value


class SiteCondition(Condition):
    """A condition on sites, or on their shares of a partition."""

    def __init__(self, text: str, now: float | None = None) -> None:
        super().__init__(text, SITE_CONDITION_VARIABLES, now)

    def match(self, owner: Site | SitePartition, /) -> bool:
        """Does it hold?  Raises OperationalError when a share is asked for and a bare site is given."""
        return self.in_force and all(test(variable.get(owner)) for variable, test in self.predicates)

    def values(self, share: SitePartition) -> dict[str, Any]:
        """What its variables are for a share."""
        return {
            name: _in_words(variable, variable.get(share))
            for name, (variable, _) in zip(self.names, self.predicates, strict=True)
        }


def _in_force(expression: Expression, now: float) -> bool:
    if not expression.time_word:
        return True
    date = parse_time(expression.time_text, now)
    return now < date if expression.time_word == "until" else now >= date


def _holds(variable: Variable, test: Test, replica: DatasetReplica) -> bool:
    match variable.level:
        case Level.DATASET:
            return test(variable.get(replica.dataset))
        case Level.REPLICA:
            return test(variable.get(replica))
        case Level.SITE:
            return test(variable.get(replica.site))
        case _:
            return any(test(variable.get(member)) for member in replica.block_replicas)


def _of_block_replica(variable: Variable, test: Test) -> Callable[[BlockReplica], bool]:
    get: Callable[[Any], Any] = variable.get
    match variable.level:
        case Level.DATASET:
            return lambda replica: test(get(replica.block.dataset))
        case Level.REPLICA:
            return lambda replica: test(get(replica.site.find_dataset_replica(replica.block.dataset, True)))
        case Level.SITE:
            return lambda replica: test(get(replica.site))
        case _:
            return lambda replica: test(get(replica))
