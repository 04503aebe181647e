"""A workload: one thing that a node is asked to run."""

from __future__ import annotations

import dataclasses
from typing import Self

from pydantic import BaseModel

from gridtypes.capacity import Capacity
from gridtypes.errors import InvalidDeployment
from gridtypes.ids import Name
from gridtypes.json_output import compact
from gridtypes.kinds import RAW, TEXT, U32, Word
from gridtypes.record import NestedRecord, Record, member, record
from gridtypes.result import Result
from gridtypes.results import ResultData, load_result
from gridtypes.workload_type import WorkloadType
from gridtypes.workloads import DATA_MODELS, WorkloadData, load_data

_RESULT = NestedRecord(Result)
_TYPE_OF = {model: type for type, model in DATA_MODELS.items()}


@record
class Workload(Record):
    """Name, type and data of a workload, and the result that the node gave it."""

    version: int = member(U32)
    """Version of the deployment in which the workload last changed."""
    name: Name = member(TEXT)
    type: WorkloadType = member(Word(WorkloadType.of))
    data: bytes = member(RAW)
    """JSON of the data, byte for byte as received; see `load`."""
    metadata: str = member(TEXT)
    description: str = member(TEXT)
    result: Result = member(_RESULT)
    _loaded: WorkloadData = dataclasses.field(init=False, repr=False, compare=False)
    """Set by the first `load`; data never change."""

    @classmethod
    def build(
        cls,
        name: str,
        data: WorkloadData,
        *,
        version: int = 0,
        metadata: str = "",
        description: str = "",
        type: WorkloadType | None = None,
    ) -> Self:
        """A workload from typed data; its type follows from them."""
        if type is None:
            type = _TYPE_OF[data.__class__]
        return cls(version, Name(name), type, data.to_json(), metadata, description)

    def load(self) -> WorkloadData:
        """The typed data.  Raises InvalidDeployment for an unknown type, InvalidData when they do not decode."""
        try:
            return self._loaded
        except AttributeError:
            pass
        model = DATA_MODELS.get(self.type)
        if model is None:
            raise InvalidDeployment(f"invalid reservation type '{self.type}'")
        data = load_data(model, self.data)
        object.__setattr__(self, "_loaded", data)
        return data

    def challenge(self) -> bytes:
        """Raises as `load` does."""
        plain = (self.version, self.name, self.type, self.metadata, self.description)
        return "".join(map(str, plain)).encode("utf-8", "replace") + self.load().challenge()

    def capacity(self) -> Capacity:
        """Raises as `load` does."""
        return self.load().capacity()

    def with_result(self, result: Result) -> Self:
        """A copy that carries this result.

        Everything else was checked and decoded before, so it is taken over as it is: nodes do this very often.
        """
        made = object.__new__(type(self))
        for field in dataclasses.fields(self):
            if hasattr(self, field.name):  # `_loaded` may not be there yet
                object.__setattr__(made, field.name, getattr(self, field.name))
        object.__setattr__(made, "result", _RESULT.take(result))
        return made

    def with_data(self, data: WorkloadData, *, version: int) -> Self:
        """A copy with other data, changed in deployment version `version`."""
        return dataclasses.replace(self, data=data.to_json(), version=version)

    def load_result(self) -> ResultData | None:
        """The typed data of the result; None when there are none.  Raises DecodeError."""
        return load_result(self.type, self.result.data)


def result_json(data: BaseModel | None) -> bytes:
    """JSON of result data as `Result.data` holds it."""
    if data is None:
        return b"null"
    return data.to_json() if isinstance(data, ResultData) else compact(data.model_dump_json().encode())
