"""In which order replicas go."""

from __future__ import annotations

from typing import Any

from dynamo.dataformat import ConfigurationError, DatasetReplica
from dynamo.policy.condition import replica_values
from dynamo.policy.predicates import NUMBER, TIME
from dynamo.policy.variables import REPLICA_VARIABLES, Level, Variable


class SortKey:
    """An order such as `decreasing dataset.usage_rank increasing replica.size`, or `none`."""

    def __init__(self, text: str) -> None:
        """Raises ConfigurationError for an unknown order or variable, or one that is no number and no time."""
        words = text.split()
        self.variables: list[tuple[int, Variable]] = []
        self._names: list[str] = []
        if words == ["none"]:
            words = []
        elif not words or len(words) % 2:
            raise ConfigurationError(
                f"Order {text!r} is neither `none` nor pairs of increasing or decreasing and a variable"
            )
        for direction, name in zip(words[::2], words[1::2], strict=True):
            if direction not in ("increasing", "decreasing"):
                raise ConfigurationError(f"Invalid sorting order: {direction}")
            variable = REPLICA_VARIABLES.get(name)
            if variable is None or variable.type not in (NUMBER, TIME):
                raise ConfigurationError(f"Replicas cannot be ordered by {name}; name a number or a time")
            self.variables.append((1 if direction == "increasing" else -1, variable))
            self._names.append(name)
        self.required_attrs = sorted({variable.attr for _, variable in self.variables if variable.attr})

    def key(self, replica: DatasetReplica) -> list[Any]:
        """What sorts a replica; of its blocks all values, smallest first."""
        values: list[Any] = []
        for sign, variable in self.variables:
            match variable.level:
                case Level.DATASET:
                    values.append(sign * variable.get(replica.dataset))
                case Level.REPLICA:
                    values.append(sign * variable.get(replica))
                case _:
                    values.append(sorted(sign * variable.get(member) for member in replica.block_replicas))
        return values

    def values(self, replica: DatasetReplica) -> dict[str, Any]:
        """What its variables are for a replica."""
        variables = (variable for _, variable in self.variables)
        return replica_values(zip(self._names, variables, strict=True), replica)
