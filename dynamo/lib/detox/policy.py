"""The file of a Detox policy.

Partition P
On, When, Until <condition on sites>      targets, triggers, stops; several lines of a kind are or-ed
Protect | Delete | Dismiss | Ignore [<condition on replicas>]
ProtectBlock | DeleteBlock | DismissBlock <condition on replicas>
Order none | (increasing | decreasing) variable ...
Algo Static
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from dynamo.dataformat import BlockReplica, ConfigurationError, DatasetReplica, Site, SitePartition
from dynamo.policy.condition import ReplicaCondition, SiteCondition
from dynamo.policy.sortkey import SortKey

MAX_TEXT = 1 << 20
"""Longest policy, in characters."""


class Action(StrEnum):
    """What a line says about the replicas that it matches."""

    PROTECT = "Protect"
    DELETE = "Delete"
    DISMISS = "Dismiss"
    IGNORE = "Ignore"
    PROTECT_BLOCK = "ProtectBlock"
    DELETE_BLOCK = "DeleteBlock"
    DISMISS_BLOCK = "DismissBlock"

    @property
    def for_dataset(self) -> Action:
        """The same for a whole dataset replica."""
        return Action(self.value.removesuffix("Block"))

    @property
    def is_for_blocks(self) -> bool:
        """Does it take single blocks out?"""
        return self.value.endswith("Block")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line.  `number` counts rules with a condition from 1; the default is 0."""

    number: int
    action: Action
    condition: ReplicaCondition | None

    def __str__(self) -> str:
        return self.action if self.condition is None else f"{self.action} {self.condition.text}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says about blocks of a dataset replica; `whole` when it speaks of the replica itself."""

    rule: Rule
    action: Action
    blocks: tuple[BlockReplica, ...]
    whole: bool


class DetoxPolicy:
    """A policy that has been read.  Relative times count from `now`, by default the moment of reading."""

    def __init__(self, text: str, available: Collection[str] = (), now: float | None = None) -> None:
        """`available` names the attributes of datasets that something fills in.

        Raises ConfigurationError when a part is missing or cannot be read, or an attribute would stay empty.
        """
        if len(text) > MAX_TEXT:
            raise ConfigurationError(f"The policy has {len(text)} characters; at most {MAX_TEXT} are allowed")
        moment = time.time() if now is None else now
        self.partition = ""
        self.on: list[SiteCondition] = []
        self.when: list[SiteCondition] = []
        self.until: list[SiteCondition] = []
        self.rules: list[Rule] = []
        self.iterative = True
        default: Rule | None = None
        order: SortKey | None = None
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            word, _, rest = line.partition(" ")
            rest = rest.strip()
            try:
                if word == "Partition":
                    self.partition = rest
                elif word in ("On", "When", "Until"):
                    getattr(self, word.lower()).append(SiteCondition(rest, moment))
                elif word == "Order":
                    order = SortKey(rest)
                elif word == "Algo":
                    if rest != "Static":
                        raise ConfigurationError(f"Unknown algorithm {rest!r}; known is Static")
                    self.iterative = False
                elif not rest and word in list(Action) and not Action(word).is_for_blocks:
                    default = Rule(0, Action(word), None)
                elif word in list(Action):
                    rule = Rule(len(self.rules) + 1, Action(word), ReplicaCondition(rest, moment))
                    self.rules.append(rule)
                else:
                    raise ConfigurationError(f"{line!r} is no line of a policy")
            except ConfigurationError as error:
                raise ConfigurationError(f"Line {number}: {error}") from None
        if default is None:
            raise ConfigurationError(
                "Default decision missing: a line with Protect, Delete, Dismiss or Ignore alone"
            )
        if order is None:
            raise ConfigurationError("Order missing; write `Order none` when it does not matter")
        self.default, self.order = default, order
        if not self.partition:
            raise ConfigurationError("Partition name missing")
        if not self.on:
            raise ConfigurationError("Target site definition missing")
        if not self.when or not self.until:
            raise ConfigurationError("Deletion trigger and release expressions are missing")
        self.required_attrs = set(self.order.required_attrs)
        for rule in self.rules:
            self.required_attrs |= set(rule.condition.required_attrs if rule.condition else ())
        missing = self.required_attrs - set(available)
        if missing:
            raise ConfigurationError(
                f"Nothing fills in the attributes {', '.join(sorted(missing))}; name a producer under `attrs`"
            )

    def is_target(self, share: SitePartition | Site) -> bool:
        """Does the policy look at this site?"""
        return any(condition.match(share) for condition in self.on)

    def is_triggered(self, share: SitePartition) -> bool:
        """Is something to be deleted here?"""
        return any(condition.match(share) for condition in self.when)

    def is_released(self, share: SitePartition) -> bool:
        """Has enough been deleted here?"""
        return any(condition.match(share) for condition in self.until)

    def evaluate(self, replica: DatasetReplica) -> list[Verdict]:
        """What the rules say of a replica: from the top, blocks one after the other, the rest by the default."""
        rest = sorted(replica.block_replicas, key=lambda member: member.block.name)
        verdicts: list[Verdict] = []
        for rule in self.rules:
            condition = rule.condition
            assert condition is not None, "only the default has none"
            if not rule.action.is_for_blocks:
                if condition.match(replica):
                    return [*verdicts, Verdict(rule, rule.action, tuple(rest), True)]
                continue
            matched = [member for member in rest if condition.match(member)]
            if not matched:
                continue
            if len(matched) == replica.num_block_replicas:
                return [*verdicts, Verdict(rule, rule.action.for_dataset, tuple(matched), True)]
            verdicts.append(Verdict(rule, rule.action, tuple(matched), False))
            rest = [member for member in rest if member not in matched]
            if not rest:
                return verdicts
        return [*verdicts, Verdict(self.default, self.default.action, tuple(rest), True)]
