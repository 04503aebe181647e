"""The data of results, by workload type.  Keys and their order are those that nodes write."""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from gridtypes import json_output
from gridtypes.errors import DecodeError
from gridtypes.json_text import Node, Shape, parse
from gridtypes.record import as_bytes, fold
from gridtypes.workload_type import WorkloadType


class ResultData(BaseModel):
    """Base of the result data models.  Empty text stands for what is not known."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    def to_json(self) -> bytes:
        """Go's encoding."""
        return json_output.compact(self.model_dump_json(by_alias=True).encode())

    @classmethod
    def from_json(cls, raw: bytes | str) -> Self:
        """Read what a node wrote: keys in any letter case, absent ones are zero.  Raises DecodeError."""
        node = parse(as_bytes(raw))
        if node.shape is Shape.NULL:
            return cls()
        if node.members is None:
            raise DecodeError(f"{node.shown} is not an object", path="data", value=node.shown)
        fields = {fold(field.alias or name): name for name, field in cls.model_fields.items()}
        values = {
            fields[fold(key)]: _plain(item)
            for key, item in node.members
            if fold(key) in fields and item.shape is not Shape.NULL
        }
        try:
            return cls.model_validate(cls.adjust(values, node), strict=True)
        except ValueError as error:
            raise DecodeError(f"result data {node.shown}: {error}", path="data", value=node.shown) from None

    @classmethod
    def adjust(cls, values: dict[str, Any], node: Node) -> dict[str, Any]:
        """Place for a type's own rules of reading."""
        return values


class ZMachineResult(ResultData):
    id: str = ""
    """Workload id."""
    ip: str = ""
    """Private address, without prefix."""
    planetary_ip: str = ""
    mycelium_ip: str = ""
    console_url: str = ""
    """`address:port` within the private network."""

    @classmethod
    def adjust(cls, values: dict[str, Any], node: Node) -> dict[str, Any]:
        for key, item in node.members or ():
            # the old name of the planetary address wins when it is there
            if fold(key) == "ygg_ip" and item.text:
                values["planetary_ip"] = item.text
        return values


class ZMachineLightResult(ResultData):
    id: str = ""
    ip: str = ""
    mycelium_ip: str = ""
    console_url: str = ""


class ZMountResult(ResultData):
    volume_id: str = ""
    """Workload id."""


class VolumeResult(ResultData):
    id: str = ""
    """Workload id."""


class ZDBResult(ResultData):
    namespace: str = Field(default="", alias="Namespace")
    ips: list[str] | None = Field(default=None, alias="IPs")
    port: int = Field(default=0, alias="Port")


class PublicIPResult(ResultData):
    ip: str = ""
    """IPv4 address in CIDR form."""
    ip6: str = ""
    """IPv6 address in CIDR form."""
    gateway: str = ""


class GatewayNameProxyResult(ResultData):
    fqdn: str = ""


class GatewayFQDNProxyResult(ResultData):
    """Has no keys."""


class QSFSResult(ResultData):
    path: str = ""
    metrics_endpoint: str = ""


RESULT_MODELS: Final[dict[WorkloadType, type[ResultData]]] = {
    WorkloadType.ZMACHINE: ZMachineResult,
    WorkloadType.ZMACHINE_LIGHT: ZMachineLightResult,
    WorkloadType.ZMOUNT: ZMountResult,
    WorkloadType.VOLUME: VolumeResult,
    WorkloadType.ZDB: ZDBResult,
    WorkloadType.IP: PublicIPResult,
    WorkloadType.IPV4: PublicIPResult,
    WorkloadType.GATEWAY_NAME_PROXY: GatewayNameProxyResult,
    WorkloadType.GATEWAY_FQDN_PROXY: GatewayFQDNProxyResult,
    WorkloadType.QSFS: QSFSResult,
}
"""Types that are missing here have `null` for result data."""


def load_result(type: WorkloadType, raw: bytes) -> ResultData | None:
    """Result data of a workload of this type; None when there are none.  Raises DecodeError."""
    model = RESULT_MODELS.get(type)
    return None if model is None or raw in (b"", b"null") else model.from_json(raw)


def _plain(node: Node) -> Any:
    if node.items is not None:
        return [_plain(item) for item in node.items]
    if node.members is not None:
        return {key: _plain(item) for key, item in node.members}
    if node.shape is Shape.NUMBER:
        return int(node.text) if node.text.lstrip("-").isdigit() and len(node.text) <= 20 else node.text
    if node.shape is Shape.BOOL:
        return node.flag
    return node.text if node.shape is Shape.STRING else None
