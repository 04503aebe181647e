"""What a term of a condition asks of one value."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import Any

from dynamo.dataformat.enumeration import Enumeration
from dynamo.dataformat.exceptions import ConfigurationError, ObjectError
from dynamo.policy.dates import parse_time
from dynamo.policy.expression import InvalidExpression, Term

Test = Callable[[Any], bool]

KINDS = {
    None: "Assert",
    "not": "Negate",
    "==": "Eq",
    "=~": "Eq",
    "!=": "Neq",
    "!=~": "Neq",
    "<": "Lt",
    "older_than": "Lt",
    ">": "Gt",
    "newer_than": "Gt",
    "in": "In",
    "notin": "Notin",
}
"""Operator as written → name of the kind of predicate."""


class ValueType:
    """How values of a variable are written: number, time, text, truth, or one of several words."""

    def __init__(self, name: str, words: Enumeration | tuple[str, ...] | None = None) -> None:
        self.name = name
        self.words = words

    def test(self, term: Term, text: str, now: float) -> Test:
        """The test of a term.  Raises InvalidExpression when operator or value do not fit this type."""
        operator = term.operator
        if (self.name == "truth") != (operator in (None, "not")):
            wanted = "is true or false by itself" if self.name == "truth" else "needs an operator and a value"
            raise InvalidExpression(text, term.position, f"Variable {term.variable} {wanted}")
        if operator is None:
            return bool
        if operator == "not":
            return lambda value: not value
        try:
            return self._comparison(operator, term.value, now)
        except (ValueError, ConfigurationError, ObjectError, re.error) as error:
            raise InvalidExpression(
                text, term.position, f"{term.variable} {operator} {term.value}: {error}"
            ) from None

    def _comparison(self, operator: str, value: str, now: float) -> Test:
        if operator in ("in", "notin"):
            member = self._member([self._equal(item, now) for item in _items(value)])
            return member if operator == "in" else lambda actual: not member(actual)
        if operator in ("=~", "!=~"):
            if self.name != "text":
                raise ValueError(f"a {self.name} has no pattern")
            match = re.compile(value).match
            return (
                (lambda actual: match(actual) is not None)
                if operator == "=~"
                else (lambda actual: match(actual) is None)
            )
        if operator in ("older_than", "newer_than") and self.name != "time":
            raise ValueError(f"a {self.name} is not older or newer")
        if operator in ("==", "!="):
            equal = self._equal(value, now)
            return equal if operator == "==" else lambda actual: not equal(actual)
        if self.words is not None:
            raise ValueError("words are not larger or smaller than others")
        limit: Any = value if self.name == "text" else self._read(value, now)
        if operator in ("<", "older_than"):
            return lambda actual: bool(actual < limit)
        return lambda actual: bool(actual > limit)

    @staticmethod
    def _member(tests: list[Test]) -> Test:
        return lambda actual: any(test(actual) for test in tests)

    def _equal(self, value: str, now: float) -> Test:
        if self.name == "text" and ("*" in value or "?" in value):
            match = re.compile(fnmatch.translate(value)).match
            return lambda actual: match(actual) is not None
        wanted = self._read(value, now)
        return lambda actual: bool(actual == wanted)

    def _read(self, value: str, now: float) -> Any:
        if isinstance(self.words, Enumeration):
            if value != value.upper():
                raise ValueError(f"write the word in capitals: {value.upper()}")
            return self.words.check(value)
        if self.words is not None:
            return value if value in self.words[:-1] else self.words[-1]
        if self.name == "number":
            return float(value)
        return parse_time(value, now) if self.name == "time" else value


def _items(value: str) -> list[str]:
    if not value.startswith("[") or not value.endswith("]"):
        raise ValueError("write a list as [item item]")
    return value[1:-1].split()


TEXT = ValueType("text")
NUMBER = ValueType("number")
TIME = ValueType("time")
TRUTH = ValueType("truth")
