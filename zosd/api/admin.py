"""`zos.admin.*`: what the farmer may see and set on his node."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import structlog

import rmb
from gridtypes import WorkloadType
from zosd.api.table import Handler
from zosd.doctor.doctor import Doctor
from zosd.machine import LAN, Machine, NicRefused

log = structlog.get_logger(__name__)

NOT_SUPPORTED = "not supported"
"""What a light node says about its public NIC."""


class Admin:
    def __init__(
        self,
        machine: Machine,
        doctor: Doctor,
        look_again: Callable[[WorkloadType], None],
        light: bool = False,
    ) -> None:
        self._machine = machine
        self._doctor = doctor
        self._look_again = look_again
        self._light = light

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "admin.interfaces": self.interfaces,
            "admin.get_public_nic": self.get_public_nic,
            "admin.set_public_nic": self.set_public_nic,
            "admin.doctor": self.doctor,
        }

    async def interfaces(self, request: rmb.Request) -> dict[str, Any]:
        found = await self._machine.nics()
        return {name: {"ips": list(nic.addresses), "mac": nic.mac} for name, nic in found.items()}

    async def get_public_nic(self, request: rmb.Request) -> dict[str, Any]:
        if self._light:
            raise rmb.HandlerError(NOT_SUPPORTED)
        name = await self._machine.public_nic()
        single = name == LAN
        return {"is_single": single, "is_dual": not single, "dual_interface": "" if single else name}

    async def set_public_nic(self, request: rmb.Request) -> None:
        """Interrupts public traffic for a moment; holds until the next start of the node."""
        name = _interface(request.payload)
        if self._light:
            raise rmb.HandlerError(NOT_SUPPORTED)
        try:
            await self._machine.set_public_nic(name)
        except NicRefused as error:
            raise rmb.HandlerError(str(error)) from error
        log.info("public NIC set", nic=name, by_twin=request.source)
        for type in (WorkloadType.IP, WorkloadType.IPV4):
            self._look_again(type)

    async def doctor(self, request: rmb.Request) -> list[dict[str, object]]:
        """Examines the node anew."""
        return [finding.shown() for finding in await self._doctor.look()]


def _interface(payload: bytes) -> str:
    try:
        name = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise rmb.HandlerError(f"failed to decode input, expecting string: {error}") from error
    if not isinstance(name, str):
        raise rmb.HandlerError(f"failed to decode input, expecting string: got {type(name).__name__}")
    return name
