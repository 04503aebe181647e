"""What the data of every workload type have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from gridtypes.capacity import Capacity
from gridtypes.errors import DecodeError, InvalidData
from gridtypes.json_text import Shape, parse
from gridtypes.kinds import Reader, UnreadableText
from gridtypes.record import NestedRecord, Record
from gridtypes.workload_type import WorkloadType


class Sibling(Protocol):
    """A workload of the same deployment, as far as a rule about another one needs it."""

    @property
    def type(self) -> WorkloadType: ...

    def load(self) -> WorkloadData: ...


class Siblings(Protocol):
    """The deployment that a workload stands in."""

    def find(self, name: str) -> Sibling | None:
        """The first workload of that name; None when there is none or the name is no valid name."""
        ...

    def by_type(self, *types: WorkloadType) -> Sequence[Sibling]: ...


class WorkloadData(Record):
    """Base of the data models."""

    __slots__ = ()

    GO_TYPE: ClassVar[str]
    """Name of the type in the texts of errors."""

    def check(self, siblings: Siblings) -> None:
        """Raises InvalidDeployment with the text that every node gives."""

    def capacity(self) -> Capacity:
        return Capacity()


def load_data(model: type[WorkloadData], raw: bytes) -> WorkloadData:
    """Decode the `data` of a workload.  Raises InvalidData."""
    if not raw:
        raise InvalidData(model.GO_TYPE, DecodeError("unexpected end of JSON input", path="data"), exact=True)
    reader = Reader(root="data")
    try:
        node = parse(raw)
        kind = NestedRecord(model)
        if node.shape is Shape.NULL:
            raise DecodeError("null is not an object", path="data", value="null")
        if node.shape is not Shape.OBJECT:
            reason = f"json: cannot unmarshal {node.shape.value} into Go value of type zos.{model.GO_TYPE}"
            raise UnreadableText(reason, path="data", value=node.shown)
        data: WorkloadData = kind.decode(reader, node, kind.zero)
        reader.finish()
    except UnreadableText as error:
        raise InvalidData(model.GO_TYPE, error, exact=True) from None
    except DecodeError as error:
        raise InvalidData(model.GO_TYPE, error, exact=False) from None
    return data
