"""`zos.debug.deployment.*`: what an administrator may see of other twins' deployments (node-api §8).

Secrets are hidden, nothing is altered, and the only probes of the system are the named ones of `probes`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import rmb
from gridtypes import ContractId, ResultState, TwinId, WorkloadType
from provisioners.protocol import (
    Check,
    Context,
    Inspectable,
    Inspection,
    PlacedWorkload,
    Provisioner,
    WorkloadError,
)
from zosd.api import probes
from zosd.api.deployments import MOST_BYTES, field
from zosd.api.redaction import redacted
from zosd.api.table import Handler
from zosd.journal.journal import Journal
from zosd.journal.records import DeploymentRecord, Key, WorkloadRecord

TAIL, WHOLE = 16 << 10, 400 << 10
"""Bytes of a machine's console that are shown, and that with `verbose`."""
INSPECTABLE = frozenset(
    {
        WorkloadType.ZMACHINE,
        WorkloadType.ZMACHINE_LIGHT,
        WorkloadType.NETWORK,
        WorkloadType.NETWORK_LIGHT,
    }
)


class Debug:
    def __init__(
        self, journal: Journal, provisioners: Mapping[WorkloadType, Provisioner], ctx: Context
    ) -> None:
        self._journal = journal
        self._provisioners = provisioners
        self._ctx = ctx

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "debug.deployment.list": self.list,
            "debug.deployment.get": self.get,
            "debug.deployment.history": self.history,
            "debug.deployment.info": self.info,
            "debug.deployment.health": self.health,
        }

    async def list(self, request: rmb.Request) -> dict[str, Any]:
        twin = field(request.json(), "twin_id") if request.payload.strip() else None
        if isinstance(twin, bool) or not isinstance(twin, int | None):
            raise rmb.HandlerError(f"twin_id has to be a number, got {twin!r}")
        ledger = self._journal.ledger
        records = ledger.of_twin(TwinId(twin)) if twin else ledger.all()
        return {
            "deployments": [
                {
                    "twin_id": record.key.twin,
                    "contract_id": record.key.contract,
                    "workloads": [
                        {
                            "type": one.definition.type.value,
                            "name": one.name,
                            "state": one.result.state.value,
                        }
                        for one in record.workloads
                    ],
                }
                for record in records
                if _is_active(record)
            ]
        }

    async def get(self, request: rmb.Request) -> bytes:
        record = self._record(request)
        shown = json.loads(record.header.to_json())
        shown["workloads"] = [_redacted(workload) for workload in record.workloads]
        text = json.dumps({"deployment": shown}).encode()
        if len(text) > MOST_BYTES:
            raise rmb.HandlerError(f"the deployment has {len(text)} bytes, the limit is {MOST_BYTES}")
        return text

    async def history(self, request: rmb.Request) -> dict[str, Any]:
        record = self._record(request)
        entries = await self._journal.history(record.key)
        return {
            "deployment": f"{record.key.twin}:{record.key.contract}",
            "history": [
                {
                    "seq": number,
                    "type": one.type.value,
                    "name": one.name,
                    "created": one.result.created,
                    "state": one.result.state.value,
                    "message": one.result.message,
                }
                for number, one in enumerate(entries, 1)
            ],
        }

    async def info(self, request: rmb.Request) -> dict[str, Any]:
        record, payload = self._record(request), request.json()
        name = field(payload, "workload")
        if not name or not isinstance(name, str):
            raise rmb.HandlerError("workload name is required")
        workload = next((one for one in record.workloads if one.name == name), None)
        if workload is None:
            raise rmb.HandlerError(f"workload '{name}' not found in deployment")
        type = workload.definition.type
        if type not in INSPECTABLE:
            raise rmb.HandlerError(f"workload type '{type.value}' not supported for info command")
        try:
            found = await self._inspect(workload, WHOLE if field(payload, "verbose") else TAIL)
        except WorkloadError as error:
            kind = "vm" if type.value.startswith("zmachine") else "network"
            raise rmb.HandlerError(f"failed to inspect {kind}: {error}") from error
        return {
            "workload_id": str(workload.id),
            "type": type.value,
            "name": workload.name,
            "info": dict(found.info),
            "logs": found.log,
        }

    async def health(self, request: rmb.Request) -> dict[str, Any]:
        payload = request.json()
        options = field(payload, "options")
        probe = field(options, "system_probe") if isinstance(options, dict) else None
        wanted = field(payload, "deployment")
        if not wanted and not probe:
            raise rmb.HandlerError("deployment is required when system_probe is not specified")
        record = self._record(request) if wanted else None
        shown = []
        for workload in record.workloads if record else ():
            if workload.definition.type in INSPECTABLE:
                checks = await self._checks(workload)
                shown.append(_health(str(workload.id), workload.definition.type.value, workload.name, checks))
        if probe:
            found = await probes.probe(str(probe))
            shown.append(_health("system", "diagnostic", probes.NAME, (found,)))
        return {
            "twin_id": record.key.twin if record else 0,
            "contract_id": record.key.contract if record else 0,
            "workloads": shown,
        }

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _checks(self, workload: WorkloadRecord) -> tuple[Check, ...]:
        try:
            return (await self._inspect(workload, 0)).checks
        except WorkloadError as error:
            kind = "vm" if workload.definition.type.value.startswith("zmachine") else "network"
            return (Check(f"{kind}.config", False, str(error)),)

    async def _inspect(self, workload: WorkloadRecord, log_bytes: int) -> Inspection:
        provisioner = self._provisioners.get(workload.definition.type)
        if provisioner is None or not hasattr(provisioner, "inspect"):
            raise WorkloadError("this node has nobody who could look at it")
        inspectable = cast(Inspectable, provisioner)
        return await inspectable.inspect(self._ctx, PlacedWorkload(workload.id, workload.shown()), log_bytes)

    def _record(self, request: rmb.Request) -> DeploymentRecord:
        key = identifier(field(request.json(), "deployment"))
        record = self._journal.ledger.get(key)
        if record is None:
            raise rmb.HandlerError("failed to get deployment: deployment not found")
        return record


def identifier(text: Any) -> Key:
    """The deployment that `<twin>:<contract>` names.  Raises rmb.HandlerError in the words of the specification."""
    if not text or not isinstance(text, str):
        raise rmb.HandlerError("deployment identifier is required")
    parts = text.split(":")
    if len(parts) != 2:
        raise rmb.HandlerError(
            f"invalid deployment format: expected 'twin-id:contract-id', got '{text[:100]}'"
        )
    twin = _number("twin", parts[0], 32)
    return Key(TwinId(twin), ContractId(_number("contract", parts[1], 64)))


def _number(what: str, text: str, bits: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 2**bits):
        raise rmb.HandlerError(f"invalid {what} ID: {text[:100]}: it is no number of {bits} bits")
    return int(text)


def _is_active(record: DeploymentRecord) -> bool:
    states = (workload.result.state for workload in record.workloads)
    return any(state not in (ResultState.DELETED, ResultState.ERROR) for state in states)


def _redacted(workload: WorkloadRecord) -> Any:
    shown = json.loads(workload.shown().to_json())
    shown["data"] = redacted(shown["data"])
    return shown


def _health(id: str, type: str, name: str, checks: tuple[Check, ...]) -> dict[str, Any]:
    return {
        "workload_id": id,
        "type": type,
        "name": name,
        "status": "healthy" if all(check.ok for check in checks) else "unhealthy",
        "checks": [
            {"name": one.name, "ok": one.ok, "message": one.message, "evidence": dict(one.evidence)}
            for one in checks
        ],
    }
