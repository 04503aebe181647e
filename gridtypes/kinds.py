"""The primitive kinds of values: how each is read from JSON, written to JSON and written into the challenge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NoReturn, Protocol, TypeVar, cast

from gridtypes import json_output
from gridtypes.addresses import IPAddress, IPNet, parse_ip, parse_ipnet
from gridtypes.errors import DecodeError
from gridtypes.hex_text import parse_hex
from gridtypes.json_text import Node, Shape, join_path, parse
from gridtypes.timestamp import UNKNOWN_FORMAT, parse_timestamp

T = TypeVar("T")
S = TypeVar("S", bound=str)


class Reader:
    """State of decoding one text: where we are, and the first value of a wrong type.

    As in Go, a value of the wrong type does not end the decoding, while an address, hex or time text that cannot be
    read does and is reported instead.
    """

    def __init__(self, *, root: str = "") -> None:
        self.path: list[str] = [root] if root else []
        self.mismatch: DecodeError | None = None

    def wrong_type(self, node: Node, wanted: str) -> None:
        """Note that `node` is not what it should be; `wanted` completes "… is not"."""
        if self.mismatch is None:
            self.mismatch = self._error(f"{node.shown} is not {wanted}", node)

    def unreadable(self, node: Node, reason: str) -> NoReturn:
        raise UnreadableText(reason, path=join_path(self.path), value=node.shown)

    def finish(self) -> None:
        """Raises the noted DecodeError, if any."""
        if self.mismatch is not None:
            raise self.mismatch

    def _error(self, reason: str, node: Node) -> DecodeError:
        return DecodeError(reason, path=join_path(self.path), value=node.shown)


class UnreadableText(DecodeError):
    """An address, network, hex or time text that cannot be read."""


class Kind(Protocol[T]):
    """A kind of value with its zero, its JSON form and its text in the challenge."""

    @property
    def zero(self) -> T: ...

    def take(self, value: T) -> T:
        """The value as a model keeps it, from what a program gave.  Raises TypeError or ValueError."""
        ...

    def decode(self, reader: Reader, node: Node, onto: T) -> T:
        """The value of `node`; `onto` is what an earlier duplicate of the key left, else the zero."""
        ...

    def encode(self, value: T) -> bytes: ...

    def challenge(self, value: T) -> bytes: ...


def decode(kind: Kind[T], raw: bytes, *, root: str = "") -> T:
    """Decode a whole JSON text.  Raises DecodeError."""
    reader = Reader(root=root)
    value = kind.decode(reader, parse(raw), kind.zero)
    reader.finish()
    return value


class Text:
    """Text, hashed byte for byte."""

    zero = ""

    def take(self, value: str) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{value!r} is not a text")
        return value

    def decode(self, reader: Reader, node: Node, onto: str) -> str:
        if node.shape is Shape.STRING:
            return node.text
        if node.shape is not Shape.NULL:
            reader.wrong_type(node, "a text")
        return onto

    def encode(self, value: str) -> bytes:
        return json_output.quote(value)

    def challenge(self, value: str) -> bytes:
        return value.encode("utf-8", "replace")


class OptionalText:
    """Text that may be absent (None); the empty one is kept and adds nothing to the challenge."""

    zero = None

    def take(self, value: str | None) -> str | None:
        return None if value is None else TEXT.take(value)

    def decode(self, reader: Reader, node: Node, onto: str | None) -> str | None:
        return None if node.shape is Shape.NULL else TEXT.decode(reader, node, onto or "")

    def encode(self, value: str | None) -> bytes:
        return b"null" if value is None else TEXT.encode(value)

    def challenge(self, value: str | None) -> bytes:
        return b"" if value is None else TEXT.challenge(value)


class Word(Text):
    """Text of an enumeration that is open: unknown words are kept."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        self._make = make
        self.zero = make("")

    def take(self, value: str) -> str:
        return cast(str, self._make(super().take(value)))

    def decode(self, reader: Reader, node: Node, onto: str) -> str:
        return cast(str, self._make(super().decode(reader, node, onto)))


class Bool:
    zero = False

    def take(self, value: bool) -> bool:
        return bool(value)

    def decode(self, reader: Reader, node: Node, onto: bool) -> bool:
        if node.shape is Shape.BOOL:
            return node.flag
        if node.shape is not Shape.NULL:
            reader.wrong_type(node, "true or false")
        return onto

    def encode(self, value: bool) -> bytes:
        return b"true" if value else b"false"

    def challenge(self, value: bool) -> bytes:
        return self.encode(value)


class Unsigned:
    """An unsigned integer of so many bits, exact."""

    zero = 0

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def take(self, value: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << self.bits:
            raise ValueError(f"{value!r} is not an unsigned integer of {self.bits} bits")
        return value

    def decode(self, reader: Reader, node: Node, onto: int) -> int:
        if node.shape is Shape.NULL:
            return onto
        # without sign, fraction and exponent a literal is all digits and has no leading zero
        if node.shape is Shape.NUMBER and node.text.isdigit() and len(node.text) <= 20:
            value = int(node.text)
            if value < 1 << self.bits:
                return value
        reader.wrong_type(node, f"an unsigned integer of {self.bits} bits")
        return onto

    def encode(self, value: int) -> bytes:
        return b"%d" % value

    def challenge(self, value: int) -> bytes:
        return b"%d" % value


class Timestamp:
    """Unix seconds, signed 64 bits."""

    zero = 0

    def take(self, value: int) -> int:
        if not isinstance(value, int) or not -(1 << 63) <= value < 1 << 63:
            raise ValueError(f"{value!r} is not a time in Unix seconds")
        return value

    def decode(self, reader: Reader, node: Node, onto: int) -> int:
        if node.shape is Shape.NULL:
            return 0
        if node.shape not in (Shape.NUMBER, Shape.STRING):
            reader.unreadable(node, f"{UNKNOWN_FORMAT}, not {node.shown}")
        try:
            return parse_timestamp(node.raw.decode("utf-8", "replace"))
        except ValueError as error:
            reader.unreadable(node, f"{error}, not {node.shown}")

    def encode(self, value: int) -> bytes:
        return b"%d" % value

    def challenge(self, value: int) -> bytes:
        return b"%d" % value


class Parsed:
    """Something written as text in JSON that may be empty: an address, a network."""

    zero = None

    def __init__(self, parse_text: Callable[[str], Any], wanted: str) -> None:
        self._parse = parse_text
        self._wanted = wanted

    def take(self, value: Any) -> Any:
        return self._parse(value) if isinstance(value, str) and value else value or None

    def decode(self, reader: Reader, node: Node, onto: Any) -> Any:
        if node.shape is Shape.STRING:
            try:
                return self._parse(node.text) if node.text else None
            except ValueError as error:
                reader.unreadable(node, str(error))
        if node.shape is not Shape.NULL:
            reader.wrong_type(node, self._wanted)
        return onto

    def encode(self, value: Any) -> bytes:
        return b'""' if value is None else b'"%s"' % str(value).encode()

    def challenge(self, value: Any) -> bytes:
        return b"<nil>" if value is None else str(value).encode()


class Hex:
    """Bytes written as hex text."""

    zero = b""

    def take(self, value: bytes) -> bytes:
        return bytes(value)

    def decode(self, reader: Reader, node: Node, onto: bytes) -> bytes:
        if node.shape is Shape.STRING:
            try:
                return parse_hex(node.text)
            except ValueError as error:
                reader.unreadable(node, str(error))
        if node.shape is Shape.NULL:
            return b""
        reader.wrong_type(node, "a hex text")
        return onto

    def encode(self, value: bytes) -> bytes:
        return b'"%s"' % value.hex().encode()

    def challenge(self, value: bytes) -> bytes:
        return value.hex().encode()


class Raw:
    """Any JSON value, its bytes kept exactly; empty when it was absent.  Not hashed as such."""

    zero = b""

    def take(self, value: bytes) -> bytes:
        if value:
            parse(value)
        return bytes(value)

    def decode(self, reader: Reader, node: Node, onto: bytes) -> bytes:
        return node.raw

    def encode(self, value: bytes) -> bytes:
        return json_output.compact(value) or b"null"

    def challenge(self, value: bytes) -> bytes:
        return b""


class Items(tuple[T, ...]):
    """A list of a model.  `ABSENT` is the empty one that was never set: JSON tells `null` from `[]`."""

    __slots__ = ()


ABSENT: Final[Items[Any]] = Items()


class ListOf:
    """A list; hashed element by element."""

    zero: Any = ABSENT

    def __init__(self, element: Kind[Any]) -> None:
        self._element = element

    def take(self, value: Iterable[Any] | None) -> Any:
        if value is None or value is ABSENT:
            return ABSENT
        return Items(self._element.take(item) for item in value)

    def decode(self, reader: Reader, node: Node, onto: Any) -> Any:
        if node.items is None:
            if node.shape is not Shape.NULL:
                reader.wrong_type(node, "a list")
                return onto
            return ABSENT
        element, decoded = self._element, []
        for index, item in enumerate(node.items):
            reader.path.append(f"[{index}]")
            # a duplicate list is laid over the earlier one, element by element
            decoded.append(element.decode(reader, item, onto[index] if index < len(onto) else element.zero))
            reader.path.pop()
        return Items(decoded)

    def encode(self, value: Any) -> bytes:
        if value is ABSENT:
            return b"null"
        return b"[" + b",".join(map(self._element.encode, value)) + b"]"

    def challenge(self, value: Any) -> bytes:
        return b"".join(map(self._element.challenge, value))


class TextMap(Mapping[str, str]):
    """A frozen map from text to text.  `TextMap(None)` is the one that was never set (`null`, not `{}`)."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, str] | None = None) -> None:
        self._entries = None if entries is None else dict(sorted(entries.items(), key=_by_bytes))

    @property
    def absent(self) -> bool:
        return self._entries is None

    def __getitem__(self, key: str) -> str:
        if self._entries is None:
            raise KeyError(key)
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries or ())

    def __len__(self) -> int:
        return len(self._entries or ())

    def __hash__(self) -> int:
        return hash(tuple(self.items()))

    def __repr__(self) -> str:
        return f"TextMap({self._entries!r})"


def _by_bytes(entry: tuple[str, str]) -> bytes:
    return entry[0].encode("utf-8", "replace")


class Texts:
    """A map from text to text; hashed as `key=value` in the order of the keys' bytes."""

    zero = TextMap()

    def take(self, value: Mapping[str, str] | None) -> TextMap:
        return value if isinstance(value, TextMap) else TextMap(value)

    def decode(self, reader: Reader, node: Node, onto: TextMap) -> TextMap:
        if node.members is None:
            if node.shape is not Shape.NULL:
                reader.wrong_type(node, "an object of texts")
                return onto
            return TextMap()
        entries = dict(onto)
        for key, item in node.members:
            reader.path.append(key)
            entries[key] = TEXT.decode(reader, item, "")
            reader.path.pop()
        return TextMap(entries)

    def encode(self, value: TextMap) -> bytes:
        if value.absent:
            return b"null"
        pairs = (TEXT.encode(key) + b":" + TEXT.encode(item) for key, item in value.items())
        return b"{" + b",".join(pairs) + b"}"

    def challenge(self, value: TextMap) -> bytes:
        return b"".join(TEXT.challenge(f"{key}={item}") for key, item in value.items())


TEXT: Final = Text()
OPTIONAL_TEXT: Final = OptionalText()
BOOL: Final = Bool()
U8: Final = Unsigned(8)
U16: Final = Unsigned(16)
U32: Final = Unsigned(32)
U64: Final = Unsigned(64)
TIMESTAMP: Final = Timestamp()
IP: Final = Parsed(cast(Callable[[str], IPAddress], parse_ip), "an IP address")
IPNET: Final = Parsed(cast(Callable[[str], IPNet], parse_ipnet), "a network in CIDR form")
HEX: Final = Hex()
RAW: Final = Raw()
TEXTS: Final = Texts()
