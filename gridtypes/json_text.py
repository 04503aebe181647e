"""A strict JSON reader that keeps byte positions.

Python's `json` accepts what Go's decoder refuses (byte order marks, `NaN`, lone surrogates), keeps only the last of
duplicate keys and forgets the exact bytes of a value; a challenge hash depends on all of these.  This reader turns
text into a tree of nodes; what the nodes mean is decided by `kinds` and `record`.

It never recurses, so nesting is limited by `MAX_DEPTH` alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from gridtypes.errors import DecodeError

MAX_DEPTH = 10_000
"""Arrays and objects inside each other, as in Go's decoder."""

_SHOWN = 80
"""Longest piece of input that an error quotes, in characters."""

_BLANK = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"')
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(
    r"\\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\u(?P<unit>[0-9a-fA-F]{4})|\\(?P<short>.)"
)
_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_LITERALS = ((b"true", True), (b"false", False), (b"null", None))


class Shape(Enum):
    """The kinds of JSON values; the value is the word that errors use."""

    NULL = "null"
    BOOL = "bool"
    NUMBER = "number"
    STRING = "string"
    ARRAY = "array"
    OBJECT = "object"


@dataclass(slots=True)
class Node:
    """One JSON value: `source[start:end]` is its exact text."""

    shape: Shape
    source: bytes
    start: int
    end: int
    flag: bool = False
    """Value of a bool."""
    text: str = ""
    """Decoded value of a string; literal of a number."""
    items: list[Node] | None = None
    """Elements of an array."""
    members: list[tuple[str, Node]] | None = None
    """Members of an object in the order of the text, duplicates included."""

    @property
    def raw(self) -> bytes:
        return self.source[self.start : self.end]

    @property
    def shown(self) -> str:
        """The text of the value as errors quote it."""
        return shorten(self.raw)


def shorten(raw: bytes) -> str:
    """`raw` as readable text of at most `_SHOWN` characters."""
    text = raw[: 4 * _SHOWN].decode(errors="replace")
    return text if len(text) <= _SHOWN and len(raw) <= 4 * _SHOWN else text[:_SHOWN] + "…"


def parse(source: bytes) -> Node:
    """Read exactly one JSON value.  Raises DecodeError with the byte offset of what is wrong."""
    return _Parser(source).parse()


def join_path(steps: list[str]) -> str:
    """`["a", "[0]", "b"]` as `a[0].b`."""
    path = ""
    for step in steps:
        path += step if step.startswith("[") or not path else f".{step}"
    return path


class _Parser:
    def __init__(self, source: bytes) -> None:
        self.source = source
        self.position = 0
        self.open: list[Node] = []
        """Arrays and objects that are not closed yet, outermost first."""
        self.key = ""
        """Key of the member that is being read, in the innermost object."""
        self.keys: list[str] = []
        """Keys that lead to each open node."""

    def parse(self) -> Node:
        while True:
            self.skip_blanks()
            node = self.read_value()
            if node.shape in (Shape.ARRAY, Shape.OBJECT) and node.end < 0:
                continue  # opened and not empty: its first element comes next
            while self.open:
                if self.attach(node):
                    break  # a comma: the next element follows
                node = self.close()
            else:
                self.skip_blanks()
                if self.position < len(self.source):
                    self.fail("text after the end of the value")
                return node

    def skip_blanks(self) -> None:
        blank = _BLANK.match(self.source, self.position)
        assert blank is not None
        self.position = blank.end()

    def read_value(self) -> Node:
        source, start = self.source, self.position
        first = source[start : start + 1]
        if first == b'"':
            return self.read_string()
        if first == b"{":
            return self.open_node(Shape.OBJECT)
        if first == b"[":
            return self.open_node(Shape.ARRAY)
        number = _NUMBER.match(source, start)
        if number:
            self.position = number.end()
            return Node(Shape.NUMBER, source, start, self.position, text=number[0].decode("ascii"))
        for literal, value in _LITERALS:
            if source.startswith(literal, start):
                self.position = start + len(literal)
                if value is None:
                    return Node(Shape.NULL, source, start, self.position)
                return Node(Shape.BOOL, source, start, self.position, flag=value)
        self.fail("expected a JSON value")

    def read_string(self) -> Node:
        found = _STRING.match(self.source, self.position)
        if found is None:
            self.fail("string with an unknown escape, a control character or no end")
        start, self.position = self.position, found.end()
        return Node(Shape.STRING, self.source, start, self.position, text=_unquote(found[0]))

    def open_node(self, shape: Shape) -> Node:
        """Open an array or object; an empty one is closed at once."""
        if len(self.open) >= MAX_DEPTH:
            self.fail(f"exceeded max depth of {MAX_DEPTH} nested arrays and objects")
        node = Node(shape, self.source, self.position, -1)
        if shape is Shape.ARRAY:
            node.items = []
        else:
            node.members = []
        self.position += 1
        self.skip_blanks()
        if self.source[self.position : self.position + 1] == (b"]" if shape is Shape.ARRAY else b"}"):
            self.position += 1
            node.end = self.position
            return node
        self.open.append(node)
        self.keys.append(self.key)
        self.key = ""
        if shape is Shape.OBJECT:
            self.read_key()
        return node

    def read_key(self) -> None:
        self.skip_blanks()
        if self.source[self.position : self.position + 1] != b'"':
            self.fail("expected a quoted key")
        self.key = self.read_string().text
        self.skip_blanks()
        if self.source[self.position : self.position + 1] != b":":
            self.fail("expected ':' after a key")
        self.position += 1

    def attach(self, node: Node) -> bool:
        """Add a finished value to the innermost open node; True when another element follows."""
        parent = self.open[-1]
        if parent.items is not None:
            parent.items.append(node)
        elif parent.members is not None:
            parent.members.append((self.key, node))
        self.skip_blanks()
        following = self.source[self.position : self.position + 1]
        if following == b",":
            self.position += 1
            if parent.members is not None:
                self.read_key()
            return True
        if following != (b"]" if parent.items is not None else b"}"):
            self.fail("expected ',' or the end of the " + parent.shape.value)
        self.position += 1
        return False

    def close(self) -> Node:
        node = self.open.pop()
        node.end = self.position
        self.key = self.keys.pop()
        return node

    def fail(self, reason: str) -> NoReturn:
        rest = self.source[self.position : self.position + _SHOWN]
        value = shorten(rest) if rest else "the end of the text"
        raise DecodeError(
            f"{reason}, found {value!r} at byte {self.position}" if rest else f"{reason}, found {value}",
            path=self.path(),
            value=value,
        )

    def path(self) -> str:
        steps = []
        for node, key in zip(self.open, [*self.keys[1:], self.key], strict=False):
            steps.append(f"[{len(node.items)}]" if node.items is not None else key)
        return join_path([step for step in steps if step])


def _unquote(quoted: bytes) -> str:
    inner = quoted[1:-1]
    # Go replaces every single byte that is not part of well-formed UTF-8; `surrogateescape` marks exactly those.
    text = inner.decode("utf-8", "surrogateescape")
    if not text.isascii():
        text = _SURROGATE.sub("\ufffd", text)
    return _ESCAPE.sub(_unescape, text) if "\\" in text else text


def _unescape(escape: re.Match[str]) -> str:
    if escape["short"]:
        return _SHORT[escape["short"]]
    if escape["unit"]:
        unit = int(escape["unit"], 16)
        return "\ufffd" if 0xD800 <= unit <= 0xDFFF else chr(unit)
    high, low = int(escape["high"], 16), int(escape["low"], 16)
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
