"""`zos.deployment.*`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

import rmb
from gridtypes import ContractId, Deployment, ResultState, Workload
from zosd.accept.acceptor import Acceptor, Call
from zosd.accept.refusal import Refusal
from zosd.api.table import Handler
from zosd.clock import Clock
from zosd.engine.engine import Engine
from zosd.journal.journal import Journal
from zosd.journal.records import DeploymentRecord, Key, WorkloadRecord
from zosd.measures import Measures

log = structlog.get_logger(__name__)

NO_DELETE = "deletion over the api is disabled, please cancel your contract instead"
NOT_FOUND = "deployment not found"
MOST_BYTES = 700_000
"""Of an answer: what still fits a bus message of 1 MiB once it is in base64."""


class Deployments:
    def __init__(
        self, journal: Journal, acceptor: Acceptor, engine: Engine, clock: Clock, measures: Measures
    ) -> None:
        self._measures = measures
        self._journal = journal
        self._acceptor = acceptor
        self._engine = engine
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "deployment.deploy": self.deploy,
            "deployment.update": self.update,
            "deployment.delete": self.delete,
            "deployment.get": self.get,
            "deployment.list": self.list,
            "deployment.changes": self.changes,
        }

    async def deploy(self, request: rmb.Request) -> None:
        await self._accept("deploy", self._acceptor.deploy, request)

    async def update(self, request: rmb.Request) -> None:
        await self._accept("update", self._acceptor.update, request)

    async def _accept(
        self, name: str, accept: Callable[[Call], Awaitable[None]], request: rmb.Request
    ) -> None:
        began, end = time.monotonic(), "failed"
        try:
            await accept(self._call(request))
            end = "accepted"
        except Refusal:
            end = "refused"
            raise
        finally:
            self._measures.accepted(name, end, time.monotonic() - began)

    async def delete(self, request: rmb.Request) -> None:
        raise rmb.HandlerError(NO_DELETE)

    async def get(self, request: rmb.Request) -> bytes:
        return self._shown(self._record(request)).to_json()

    async def list(self, request: rmb.Request) -> bytes:
        shown = [self._shown(record) for record in self._journal.ledger.of_twin(request.source)]
        parts = [deployment.to_json() for deployment in shown if deployment.is_active()]
        size = sum(map(len, parts))
        if size > MOST_BYTES:
            raise rmb.HandlerError(
                f"the list has {size} bytes, the limit of an answer is {MOST_BYTES}: "
                "get the deployments one by one"
            )
        return b"[" + b",".join(parts) + b"]"

    async def changes(self, request: rmb.Request) -> bytes:
        record = self._record(request)
        return _fitting(record.key, [one.to_json() for one in await self._journal.history(record.key)])

    def _call(self, request: rmb.Request) -> Call:
        left = max(0.0, request.expires_at - time.time())
        return Call(request.source, request.payload, self._clock.monotonic() + left)

    def _record(self, request: rmb.Request) -> DeploymentRecord:
        contract = field(request.json(), "contract_id")
        if isinstance(contract, bool) or not isinstance(contract, int | None):
            raise rmb.HandlerError(f"contract_id has to be a number, got {contract!r}")
        record = self._journal.ledger.get(Key(request.source, ContractId(contract or 0)))
        if record is None:
            raise rmb.HandlerError(NOT_FOUND)
        return record

    def _shown(self, record: DeploymentRecord) -> Deployment:
        return replace(
            record.header, workloads=tuple(self._workload(workload) for workload in record.workloads)
        )

    def _workload(self, record: WorkloadRecord) -> Workload:
        """A workload whose error also says how often it was tried and when it will be again."""
        result = record.result
        if result.state is not ResultState.ERROR or not record.attempts:
            return record.shown()
        times = "once" if record.attempts == 1 else f"{record.attempts} times"
        moment = self._engine.next_try(record.id)
        when = f", next try at {_utc(moment)}" if moment else ""
        message = f"{result.message}; failed {times}{when}"
        return record.definition.with_result(replace(result, message=message))


def _utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def field(payload: Any, name: str) -> Any:
    """A field by name in any letter case, as Go's decoder finds it."""
    if payload is None or payload == "":
        return None
    if not isinstance(payload, dict):
        raise rmb.HandlerError(f"the payload has to be an object with {name}, got {type(payload).__name__}")
    return next((value for key, value in payload.items() if key.lower() == name), None)


def _fitting(key: Key, entries: list[bytes]) -> bytes:
    """The newest entries that fit an answer, oldest first."""
    size, first = 0, len(entries)
    while first and size + len(entries[first - 1]) + 1 <= MOST_BYTES:
        first -= 1
        size += len(entries[first]) + 1
    if first:
        log.warning(
            "history does not fit an answer, oldest entries left out", deployment=str(key), left_out=first
        )
    return b"[" + b",".join(entries[first:]) + b"]"
