"""Expressions that turn a service's statistics into a score, as the conscience's configuration writes them. Pure.

Numbers, `+ - * /`, comparisons (1 or 0), parentheses, `root(n, x)` and `(num stat.x)` or `(num tag.y)`. Whatever cannot
be computed is None: the former score stays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

MAX_LENGTH: Final = 1024
MAX_DEPTH: Final = 32

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|\(\s*num\s+(?P<name>(?:stat|tag)\.[\w.\-]+)\s*\)|(?P<root>root)"
    r"|(?P<sign><=|>=|==|!=|[-+*/<>(),]))"
)
_LEVELS: Final = (("<", "<=", ">", ">=", "==", "!="), ("+", "-"), ("*", "/"))


class BadExpression(ValueError):
    """The text is no expression; the message says where."""


class _Unknown(Exception):
    """A value that the expression needs is missing."""


class Expression:
    """A parsed expression. BadExpression when the text is malformed."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise BadExpression(f"score_expr has {len(text)} characters; {MAX_LENGTH} are allowed")
        self.text = text
        self._tokens = self._split(text)
        self._position = 0
        self._values: Mapping[str, object] | None = None
        self._evaluate()

    def score(self, values: Mapping[str, object]) -> int | None:
        """The score for these `stat.` and `tag.` values, floored and between 0 and 100; None when it has none."""
        self._values = values
        try:
            result = self._evaluate()
        except (_Unknown, ZeroDivisionError, OverflowError):
            return None
        if not math.isfinite(result):
            return None
        return max(0, min(100, math.floor(result)))

    @staticmethod
    def _split(text: str) -> list[tuple[str, str]]:
        tokens, position = [], 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise BadExpression(f"score_expr: cannot read {text[position:][:20]!r}")
            tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        return tokens

    def _evaluate(self) -> float:
        self._position = 0
        result = self._binary(0, 0)
        if self._position != len(self._tokens):
            raise BadExpression(f"score_expr: {self._tokens[self._position][1]!r} is too much")
        return result

    def _peek(self) -> tuple[str, str]:
        return (
            self._tokens[self._position] if self._position < len(self._tokens) else ("end", "end of the text")
        )

    def _take(self, sign: str) -> None:
        if self._peek() != ("sign", sign):
            raise BadExpression(f"score_expr: {sign!r} expected, not {self._peek()[1]!r}")
        self._position += 1

    def _binary(self, level: int, depth: int) -> float:
        if depth > MAX_DEPTH:
            raise BadExpression(f"score_expr: more than {MAX_DEPTH} levels of parentheses")
        if level == len(_LEVELS):
            return self._unary(depth)
        left = self._binary(level + 1, depth)
        while self._peek()[0] == "sign" and self._peek()[1] in _LEVELS[level]:
            sign = self._peek()[1]
            self._position += 1
            left = self._apply(sign, left, self._binary(level + 1, depth))
        return left

    def _unary(self, depth: int) -> float:
        kind, text = self._peek()
        self._position += 1
        if kind == "number":
            return float(text)
        if kind == "name":
            return self._value(text)
        if kind == "root":
            self._take("(")
            degree = self._binary(0, depth + 1)
            self._take(",")
            inner = self._binary(0, depth + 1)
            self._take(")")
            if self._values is None:
                return 1.0
            return inner ** (1 / degree) if inner >= 0 and degree > 0 else math.nan
        if (kind, text) == ("sign", "-"):
            return -self._unary(depth)
        if (kind, text) == ("sign", "("):
            inner = self._binary(0, depth + 1)
            self._take(")")
            return inner
        raise BadExpression(f"score_expr: a value expected, not {text!r}")

    def _value(self, name: str) -> float:
        if self._values is None:
            return 1.0
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise _Unknown(name)
        try:
            return float(value)
        except ValueError as error:
            raise _Unknown(name) from error

    def _apply(self, sign: str, left: float, right: float) -> float:
        match sign:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right if self._values is not None else 1.0
        holds = {
            "<": left < right,
            "<=": left <= right,
            ">": left > right,
            ">=": left >= right,
            "==": left == right,
            "!=": left != right,
        }
        return float(holds[sign])
