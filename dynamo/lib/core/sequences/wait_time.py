"""Seconds written as arithmetic, such as `60*60*2`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

MAX_TEXT = 200
MAX_WAIT_S = 10 * 365 * 86400

Number = int | float


def _divide(left: Number, right: Number) -> Number:
    # Whole numbers divide to whole numbers, as definition files have always been read.
    return left // right if isinstance(left, int) and isinstance(right, int) else left / right


_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
}


def wait_seconds(text: str) -> Number:
    """The value of numbers, + - * / and brackets.  Raises ValueError for anything else, and for negative values."""
    try:
        if len(text) > MAX_TEXT:
            raise ValueError("it is too long")
        value = _value(ast.parse(text.strip(), mode="eval").body)
    except (ValueError, SyntaxError, ZeroDivisionError, RecursionError, MemoryError, OverflowError):
        raise ValueError(f"Wait time {text[:MAX_TEXT]} is not a numerical expression") from None
    if not 0 <= value <= MAX_WAIT_S:
        raise ValueError(f"Wait time {text} is {value} s; it lies between 0 and {MAX_WAIT_S}")
    return value


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            result = _BINARY[type(op)](_value(left), _value(right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            result = -_value(operand)
        case _:
            raise ValueError("it is no arithmetic")
    if abs(result) > 1e15:
        raise ValueError("it is too large")
    return result
