"""Streams of a machine's log: `zlogs`."""

from __future__ import annotations

from typing import ClassVar

from gridtypes.errors import InvalidDeployment
from gridtypes.go_url import parse_url
from gridtypes.ids import Name
from gridtypes.kinds import TEXT
from gridtypes.record import member, record
from gridtypes.workload_type import WorkloadType
from gridtypes.workloads.data import Siblings, WorkloadData

SCHEMES = ("redis", "ws", "wss")


@record
class ZLogs(WorkloadData):
    """Sends the console output of a zmachine to `output`."""

    GO_TYPE: ClassVar = "ZLogs"

    zmachine: Name = member(TEXT)
    output: str = member(TEXT)
    """URL; schemes `redis`, `ws`, `wss`."""

    def check(self, siblings: Siblings) -> None:
        machine = siblings.find(self.zmachine)
        if machine is None or machine.type is not WorkloadType.ZMACHINE:
            raise InvalidDeployment(f"no zmachine with name '{self.zmachine}' found")
        try:
            scheme = parse_url(self.output).scheme
        except ValueError as error:
            raise InvalidDeployment(f"invalid url supplied in output: {error}") from None
        if scheme not in SCHEMES:
            raise InvalidDeployment(f"invalid output schema '{scheme}' not supported")
