"""Our declarations of the chain's interface (`interface/*.txt`) and how they are read.

The language says everything that a type registry says, in the order of the wire:

    pallet TfgridModule = 25 : pallet_tfgrid           name, index, crate (and `, instance I` for instanced pallets)
    struct Twin : path::to::Twin<AccountId = AccountId32> { id: u32, relay: Option<BoundedVec<u8, 1024>> 'Type name' }
    struct H256 : primitive_types::H256([u8; 32])      unnamed fields
    enum PowerState : path::PowerState<B = u32> { 0 Up, 1 Down(u32 'B') }
    call <T> { 17 create_twin { relay: … } }           likewise `event` and `error`
    storage { Twins: Blake2_128Concat u32 => Twin?, NodeID: u32, … = 0x… }
    constant { MaxFarmNameLength: u32 = 40 }

A name before `:` is how other declarations refer to the type.  A quoted text after a type is the name under which the
runtime's source knows it, where that differs (`''`: none); clients compare these names.  `?` after a storage value
means that a missing key is absent rather than a default; the default is the type's zero unless `=` gives bytes.
`1..255 Mortal(…)` stands for the cases Mortal1 to Mortal255.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import TypeAlias, TypeVar

from tfchain.codec.metadata import HASHERS

T = TypeVar("T")


class DeclarationError(ValueError):
    """A declaration that cannot be read; names file and line."""


@dataclass(frozen=True, slots=True)
class Named:
    """A type by name with its arguments: `u8`, `Twin`, `Option<u32>`, `BoundedVec<u8, 40>` (bound 40)."""

    name: str
    arguments: tuple[TypeExpression, ...] = ()
    bound: int | None = None


@dataclass(frozen=True, slots=True)
class ArrayOf:
    item: TypeExpression
    length: int


@dataclass(frozen=True, slots=True)
class TupleOf:
    items: tuple[TypeExpression, ...]


TypeExpression: TypeAlias = Named | ArrayOf | TupleOf


@dataclass(frozen=True, slots=True)
class FieldDeclaration:
    type: TypeExpression
    name: str | None
    type_name: str | None


@dataclass(frozen=True, slots=True)
class CaseDeclaration:
    name: str
    index: int
    fields: tuple[FieldDeclaration, ...]


@dataclass(frozen=True, slots=True)
class TypeDeclaration:
    name: str
    path: tuple[str, ...]
    parameters: tuple[tuple[str, TypeExpression | None], ...]
    fields: tuple[FieldDeclaration, ...] | None
    """None for an enum."""
    cases: tuple[CaseDeclaration, ...]


@dataclass(frozen=True, slots=True)
class StorageDeclaration:
    name: str
    keys: tuple[tuple[str, TypeExpression], ...]
    value: TypeExpression
    optional: bool
    default: bytes | None


@dataclass(frozen=True, slots=True)
class ConstantDeclaration:
    name: str
    type: TypeExpression
    value: int | bytes


@dataclass(slots=True)
class PalletDeclaration:
    name: str
    index: int
    crate: str | None
    instance: str | None
    groups: dict[str, TypeDeclaration] = field(default_factory=dict)
    """The enums of `call`, `event` and `error`, as far as the pallet has them."""
    storage: tuple[StorageDeclaration, ...] | None = None
    constants: tuple[ConstantDeclaration, ...] = ()


@dataclass(slots=True)
class Declarations:
    types: dict[str, TypeDeclaration] = field(default_factory=dict)
    pallets: list[PalletDeclaration] = field(default_factory=list)


def load() -> Declarations:
    """Read every declaration file; pallets are sorted by index."""
    declarations = Declarations()
    folder = resources.files("tfchain.devchain") / "interface"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".txt"):
            _Parser(file.name, file.read_text(encoding="utf-8"), declarations).read()
    declarations.pallets.sort(key=lambda pallet: pallet.index)
    return declarations


_TOKEN = re.compile(
    r"\s+|#[^\n]*|('[^']*'|0x[0-9a-f]*|=>|\.\.|[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_]\w*)*|\d+|.)"
)


class _Parser:
    def __init__(self, file: str, source: str, target: Declarations) -> None:
        self.file = file
        self.target = target
        self.pallet: PalletDeclaration | None = None
        self.tokens: list[tuple[str, int]] = []
        self.place = 0
        line = 1
        for match in _TOKEN.finditer(source):
            if match.group(1):
                self.tokens.append((match.group(1), line))
            line += match.group(0).count("\n")
        self.tokens.append(("", line))

    def read(self) -> None:
        while self.peek:
            match self.next():
                case "pallet":
                    self.read_pallet()
                case "struct" | "enum" as kind:
                    self.read_type(kind)
                case "call" | "event" | "error" as group:
                    self.read_group(group)
                case "storage":
                    self.owner.storage = tuple(self.listed("{", "}", self.read_storage))
                case "constant":
                    self.owner.constants = tuple(self.listed("{", "}", self.read_constant))
                case other:
                    raise self.error(f"a declaration cannot begin with {other!r}")

    @property
    def peek(self) -> str:
        return self.tokens[self.place][0]

    def next(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1][0]

    def accept(self, token: str) -> bool:
        if self.peek != token:
            return False
        self.place += 1
        return True

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise self.error(f"expected {token!r}, found {self.peek!r}")

    def error(self, message: str) -> DeclarationError:
        return DeclarationError(
            f"{self.file}:{self.tokens[min(self.place, len(self.tokens) - 1)][1]}: {message}"
        )

    @property
    def owner(self) -> PalletDeclaration:
        if self.pallet is None:
            raise self.error("no pallet declared yet")
        return self.pallet

    def number(self) -> int:
        token = self.next()
        if not token.isdigit():
            raise self.error(f"expected a number, found {token!r}")
        return int(token)

    def listed(self, opening: str, closing: str, read: Callable[[], T]) -> list[T]:
        """Entries between two brackets, separated by commas; a comma may follow the last."""
        self.expect(opening)
        found: list[T] = []
        while not self.accept(closing):
            found.append(read())
            if not self.accept(","):
                self.expect(closing)
                break
        return found

    def read_pallet(self) -> None:
        name = self.next()
        self.expect("=")
        index = self.number()
        crate = self.next() if self.accept(":") else None
        instance = None
        if self.accept(","):
            self.expect("instance")
            instance = self.next()
        self.pallet = PalletDeclaration(name, index, crate, instance)
        self.target.pallets.append(self.pallet)

    def read_type(self, kind: str) -> None:
        name = self.next()
        self.expect(":")
        path = tuple(self.next().split("::"))
        parameters = self.read_parameters()
        if kind == "enum":
            declared = TypeDeclaration(name, path, parameters, None, self.read_cases())
        else:
            declared = TypeDeclaration(name, path, parameters, self.read_fields(), ())
        if name in self.target.types:
            raise self.error(f"type {name} is declared twice")
        self.target.types[name] = declared

    def read_group(self, group: str) -> None:
        pallet = self.owner
        if pallet.crate is None:
            raise self.error(f"pallet {pallet.name} has no crate")
        path = (pallet.crate, "pallet", group.capitalize())
        parameters = self.read_parameters()
        pallet.groups[group] = TypeDeclaration(
            f"{pallet.name}.{group}", path, parameters, None, self.read_cases()
        )

    def read_parameters(self) -> tuple[tuple[str, TypeExpression | None], ...]:
        return tuple(self.listed("<", ">", self.read_parameter)) if self.peek == "<" else ()

    def read_parameter(self) -> tuple[str, TypeExpression | None]:
        return self.next(), self.read_expression() if self.accept("=") else None

    def read_cases(self) -> tuple[CaseDeclaration, ...]:
        return tuple(case for cases in self.listed("{", "}", self.read_case) for case in cases)

    def read_case(self) -> list[CaseDeclaration]:
        first = self.number()
        if not self.accept(".."):
            return [CaseDeclaration(self.next(), first, self.read_fields())]
        last, name, fields = self.number(), self.next(), self.read_fields()
        return [CaseDeclaration(f"{name}{index}", index, fields) for index in range(first, last + 1)]

    def read_fields(self) -> tuple[FieldDeclaration, ...]:
        if self.peek == "(":
            return tuple(self.listed("(", ")", lambda: self.read_field(None)))
        if self.peek == "{":
            return tuple(self.listed("{", "}", self.read_named_field))
        return ()

    def read_named_field(self) -> FieldDeclaration:
        name = self.next()
        self.expect(":")
        return self.read_field(name)

    def read_field(self, name: str | None) -> FieldDeclaration:
        expression = self.read_expression()
        type_name: str | None = render(expression)
        if self.peek.startswith("'"):
            type_name = self.next()[1:-1].replace("\\n", "\n") or None
        return FieldDeclaration(expression, name, type_name)

    def read_expression(self) -> TypeExpression:
        if self.peek == "(":
            return TupleOf(tuple(self.listed("(", ")", self.read_expression)))
        if self.accept("["):
            item = self.read_expression()
            self.expect(";")
            length = self.number()
            self.expect("]")
            return ArrayOf(item, length)
        name = self.next()
        if not name[:1].isidentifier():
            raise self.error(f"expected a type, found {name!r}")
        if self.peek != "<":
            return Named(name)
        arguments: list[TypeExpression] = []
        bound: int | None = None
        for argument in self.listed("<", ">", self.read_argument):
            if isinstance(argument, int):
                bound = argument
            else:
                arguments.append(argument)
        return Named(name, tuple(arguments), bound)

    def read_argument(self) -> TypeExpression | int:
        return self.number() if self.peek.isdigit() else self.read_expression()

    def read_storage(self) -> StorageDeclaration:
        name = self.next()
        self.expect(":")
        expression = self.read_expression()
        keys: list[tuple[str, TypeExpression]] = []
        while isinstance(expression, Named) and expression.name in HASHERS:
            keys.append((expression.name, self.read_expression()))
            self.expect("=>" if self.peek == "=>" else "+")
            expression = self.read_expression()
        optional = self.accept("?")
        default = bytes.fromhex(self.next()[2:]) if self.accept("=") else None
        return StorageDeclaration(name, tuple(keys), expression, optional, default)

    def read_constant(self) -> ConstantDeclaration:
        name = self.next()
        self.expect(":")
        expression = self.read_expression()
        self.expect("=")
        value = self.next()
        if value.startswith("0x"):
            return ConstantDeclaration(name, expression, bytes.fromhex(value[2:]))
        return ConstantDeclaration(name, expression, int(value))


def render(expression: TypeExpression) -> str:
    """The expression as the runtime's source writes it: without our bounds."""
    match expression:
        case Named(name, ()):
            return name
        case Named(name, arguments):
            return f"{name}<{', '.join(map(render, arguments))}>"
        case ArrayOf(item, length):
            return f"[{render(item)}; {length}]"
        case TupleOf(items):
            return f"({', '.join(map(render, items))})"
