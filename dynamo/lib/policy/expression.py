"""The text of a condition, taken apart.

    condition := predicate { " and " predicate } [ " until " date | " from " date ]
    predicate := variable | "not" variable | variable operator value | variable ("in" | "notin") "[" items "]"

Blanks separate everything; there are no brackets around conditions and there is no `or`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dynamo.dataformat.exceptions import ConfigurationError

MAX_TEXT = 64 << 10
"""Longest condition, in characters."""

OPERATORS = frozenset({"==", "!=", "<", ">", "=~", "!=~", "older_than", "newer_than", "in", "notin"})


class InvalidExpression(ConfigurationError):
    """A condition is wrong; the message shows the text and where."""

    def __init__(self, text: str, position: int, reason: str) -> None:
        super().__init__(f"{reason}, at character {position} of the condition {text!r}")
        self.text = text
        self.position = position


@dataclass(frozen=True, slots=True)
class Term:
    """One predicate as it was written.

    `operator` is None for a boolean variable, "not" for its negation.  `position` counts characters of the whole
    condition from 1.
    """

    variable: str
    operator: str | None
    value: str
    position: int


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition as it was written.  `time_word` is until, from or empty."""

    terms: tuple[Term, ...]
    time_word: str
    time_text: str


def parse_expression(text: str) -> Expression:
    """Take a condition apart.  Raises InvalidExpression."""
    if len(text) > MAX_TEXT:
        raise ConfigurationError(f"Condition has {len(text)} characters; at most {MAX_TEXT} are allowed")
    body, word, date = text, "", ""
    last = max((match.end() for match in re.finditer(r"\sand\s", text)), default=0)
    timed = re.search(r"\s(until|from)\s+(\S.*)$", text[last:].rstrip())
    if timed is not None:
        body, word, date = text[: last + timed.start()], timed[1], timed[2].strip()
    terms = []
    start = 0
    for piece in re.split(r"(\sand(?=\s))", body):
        if piece.strip() != "and":
            terms.append(_term(text, piece, start))
        start += len(piece)
    return Expression(tuple(terms), word, date)


def _term(text: str, piece: str, start: int) -> Term:
    position = start + len(piece) - len(piece.lstrip()) + 1
    words = piece.split(None, 2)
    if not words:
        raise InvalidExpression(text, position, "A predicate is missing")
    if words[0] == "not" and len(words) > 1:
        if len(words) > 2:
            raise InvalidExpression(text, position, f"{words[2].strip()!r} follows a negated variable")
        return Term(words[1], "not", "", position)
    if len(words) == 1:
        return Term(words[0], None, "", position)
    if words[1] not in OPERATORS:
        raise InvalidExpression(text, position, f"Unknown operator {words[1]!r}")
    if len(words) == 2:
        raise InvalidExpression(text, position, f"Operator {words[1]} needs a value")
    return Term(words[0], words[1], words[2].strip(), position)
