"""Metadata V14 made from our declarations.

Type numbers come from the order in which types are met; two uses of the same declared type share a number, two
vectors with different bounds do not, as in the runtime.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tfchain.codec.metadata import Constant, Metadata, Pallet, SignedExtension, StorageEntry
from tfchain.codec.scale import uint
from tfchain.codec.types import (
    PRIMITIVES,
    Array,
    Case,
    Compact,
    Composite,
    Definition,
    Field,
    Parameter,
    PortableType,
    Primitive,
    Registry,
    Sequence,
    Tuple,
    Variant,
)
from tfchain.codec.values import Codec
from tfchain.devchain.declarations import (
    ArrayOf,
    CaseDeclaration,
    ConstantDeclaration,
    DeclarationError,
    Declarations,
    FieldDeclaration,
    Named,
    PalletDeclaration,
    StorageDeclaration,
    TupleOf,
    TypeDeclaration,
    TypeExpression,
)

EXTENSIONS = (
    ("CheckNonZeroSender", "()"),
    ("CheckSpecVersion", "u32"),
    ("CheckTxVersion", "u32"),
    ("CheckGenesis", "H256"),
    ("CheckMortality", "H256"),
    ("CheckNonce", "()"),
    ("CheckWeight", "()"),
    ("ChargeTransactionPayment", "()"),
)
"""Signed extensions in order, each with the type of its part of the additionally signed bytes."""

_VECTORS = {
    "BoundedVec": ("bounded_collections", "bounded_vec", "BoundedVec"),
    "WeakBoundedVec": ("bounded_collections", "weak_bounded_vec", "WeakBoundedVec"),
}
_CALL_PATH = (
    "self::sp_api_hidden_includes_construct_runtime::hidden_include::dispatch\n::CallableCallFor<{}, Runtime>"
)


def build(declarations: Declarations) -> Metadata:
    """Make metadata; raises `DeclarationError` for a name that is not declared."""
    builder = _Builder(declarations)
    pallets = [builder.pallet(pallet) for pallet in declarations.pallets]
    extrinsic = builder.number(Named("UncheckedExtrinsic"))
    extensions = tuple(
        SignedExtension(name, builder.number(Named(name)), builder.number(_additional(signed)))
        for name, signed in EXTENSIONS
    )
    runtime = builder.number(Named("Runtime"))
    registry = Registry(tuple(builder.finished[number] for number in range(len(builder.numbers))))
    codec = Codec(registry)
    complete = tuple(builder.complete(pallet, codec) for pallet in pallets)
    return Metadata(registry, complete, extrinsic, 4, extensions, runtime)


def _additional(signed: str) -> TypeExpression:
    return TupleOf(()) if signed == "()" else Named(signed)


@dataclass(slots=True)
class _Draft:
    """A pallet whose types have numbers, but whose defaults and constants are not encoded yet."""

    declared: PalletDeclaration
    entries: list[tuple[StorageDeclaration, int | None, int]] = field(default_factory=list)
    constants: list[tuple[ConstantDeclaration, int]] = field(default_factory=list)
    groups: dict[str, int] = field(default_factory=dict)


class _Builder:
    def __init__(self, declarations: Declarations) -> None:
        self.declarations = declarations
        self.numbers: dict[object, int] = {}
        self.finished: dict[int, PortableType] = {}

    def pallet(self, declared: PalletDeclaration) -> _Draft:
        draft = _Draft(declared)
        for entry in declared.storage or ():
            key: int | None = None
            if len(entry.keys) == 1:
                key = self.number(entry.keys[0][1])
            elif entry.keys:
                key = self.number(TupleOf(tuple(expression for _, expression in entry.keys)))
            draft.entries.append((entry, key, self.number(entry.value)))
        for group in declared.groups:
            draft.groups[group] = self.number(Named(f"{declared.name}.{group}"))
        draft.constants = [(constant, self.number(constant.type)) for constant in declared.constants]
        return draft

    def complete(self, draft: _Draft, codec: Codec) -> Pallet:
        declared = draft.declared
        entries = []
        for entry, key, value in draft.entries:
            default = entry.default
            if default is None:
                default = b"\0" if entry.optional else codec.zero(value)
            hashers = tuple(hasher for hasher, _ in entry.keys)
            entries.append(StorageEntry(entry.name, entry.optional, hashers, key, value, default))
        return Pallet(
            declared.name,
            declared.index,
            None if declared.storage is None else declared.name,
            tuple(entries),
            draft.groups.get("call"),
            draft.groups.get("event"),
            draft.groups.get("error"),
            tuple(self.constant(constant, number) for constant, number in draft.constants),
        )

    def constant(self, declared: ConstantDeclaration, number: int) -> Constant:
        if isinstance(declared.value, bytes):
            return Constant(declared.name, number, declared.value)
        definition = self.finished[number].definition
        if not isinstance(definition, Primitive):
            raise DeclarationError(f"constant {declared.name}: a number is given for a type that is none")
        return Constant(declared.name, number, uint(declared.value, int(definition.name[1:]) // 8))

    def number(self, expression: TypeExpression) -> int:
        """The type's number; the type is added when it is new."""
        if expression in self.numbers:
            return self.numbers[expression]
        number = self.numbers[expression] = len(self.numbers)
        self.finished[number] = self.portable(expression)
        return number

    def portable(self, expression: TypeExpression) -> PortableType:
        match expression:
            case TupleOf(items):
                return PortableType(Tuple(tuple(map(self.number, items))))
            case ArrayOf(item, length):
                return PortableType(Array(length, self.number(item)))
            case Named(name, (), None) if name in PRIMITIVES:
                return PortableType(Primitive(name))
            case Named("Vec", (item,)):
                return PortableType(Sequence(self.number(item)))
            case Named("Compact", (item,)):
                return PortableType(Compact(self.number(item)))
            case Named("Option", (item,)):
                number = self.number(item)
                cases = (Case("None", 0), Case("Some", 1, (Field(number),)))
                return PortableType(Variant(cases), ("Option",), (Parameter("T", number),))
            case Named("Result", (good, bad)):
                ok, error = self.number(good), self.number(bad)
                cases = (Case("Ok", 0, (Field(ok),)), Case("Err", 1, (Field(error),)))
                return PortableType(Variant(cases), ("Result",), (Parameter("T", ok), Parameter("E", error)))
            case Named(name, (item,), bound) if name in _VECTORS:
                vector = Composite((Field(self.number(Named("Vec", (item,))), None, "Vec<T>"),))
                parameters = (Parameter("T", self.number(item)), Parameter("S", None))
                return PortableType(vector, _VECTORS[name], parameters, bound)
            case Named("RuntimeCall", ()):
                return self.outer("RuntimeCall", "call")
            case Named("RuntimeEvent", ()):
                return self.outer("RuntimeEvent", "event")
            case Named(name, ()):
                return self.declared(self.declaration(name))
        raise DeclarationError(f"no type {expression}")

    def declaration(self, name: str) -> TypeDeclaration:
        pallet_name, _, group = name.partition(".")
        if group:
            return next(p for p in self.declarations.pallets if p.name == pallet_name).groups[group]
        try:
            return self.declarations.types[name]
        except KeyError:
            raise DeclarationError(f"type {name} is not declared") from None

    def declared(self, declared: TypeDeclaration) -> PortableType:
        parameters = tuple(
            Parameter(name, None if expression is None else self.number(expression))
            for name, expression in declared.parameters
        )
        definition: Definition
        if declared.fields is None:
            definition = Variant(tuple(map(self.case, declared.cases)))
        else:
            definition = Composite(tuple(map(self.field, declared.fields)))
        return PortableType(definition, declared.path, parameters)

    def case(self, declared: CaseDeclaration) -> Case:
        return Case(declared.name, declared.index, tuple(map(self.field, declared.fields)))

    def field(self, declared: FieldDeclaration) -> Field:
        return Field(self.number(declared.type), declared.name, declared.type_name)

    def outer(self, name: str, group: str) -> PortableType:
        """The enum over all pallets' calls or events."""
        cases = []
        for pallet in self.declarations.pallets:
            if group not in pallet.groups:
                continue
            number = self.number(Named(f"{pallet.name}.{group}"))
            type_name = _CALL_PATH.format(pallet.name) if group == "call" else self.event_name(pallet)
            cases.append(Case(pallet.name, pallet.index, (Field(number, None, type_name),)))
        return PortableType(Variant(tuple(cases)), ("tfchain_runtime", name))

    def event_name(self, pallet: PalletDeclaration) -> str:
        if not pallet.groups["event"].parameters:
            return f"{pallet.crate}::Event"
        instance = f", {pallet.crate}::{pallet.instance}" if pallet.instance else ""
        return f"{pallet.crate}::Event<Runtime{instance}>"
