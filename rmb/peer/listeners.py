"""Listen where we are told to, from the moment that it is possible."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from rmb.gen1.address import join_address, split_address
from rmb.peer.namespace import identity_of, listening_socket, overlay_addresses

log = structlog.get_logger("rmb.peer")

FIRST_LOOK: Final = 1.0
"""Seconds between two attempts while something is missing."""
LOOK: Final = 5.0
"""Seconds between two looks at whether namespace and address are still the same."""


@dataclass(frozen=True, slots=True)
class Place:
    """One address to listen on; equal places are the same socket."""

    host: str
    port: int
    namespace: str | None = None
    identity: tuple[int, int] | None = None
    """Of the namespace: a new one of the same name is another place."""

    def __str__(self) -> str:
        inside = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{join_address(self.host, self.port)}{inside}"


class Listeners:
    """Opens, closes and opens again; an address or namespace that is not there yet is waited for."""

    def __init__(self, addresses: Iterable[str], *, overlay: bool, namespace: str | None, port: int) -> None:
        self._fixed = [Place(*split_address(address)) for address in addresses]
        self._overlay = overlay
        self._namespace = namespace
        self._port = port
        self._open: dict[Place, web.SockSite] = {}
        self._told = ""

    async def run(self, runner: web.AppRunner) -> None:
        """Keep the sockets as they should be until cancelled; the runner closes what is open then."""
        while True:
            complete = await self._look(runner)
            await asyncio.sleep(LOOK if complete else FIRST_LOOK)

    async def _look(self, runner: web.AppRunner) -> bool:
        """Open what is missing, close what is no longer wanted; True when nothing is missing."""
        troubles: list[str] = []
        wanted = [*self._fixed]
        try:
            wanted += await asyncio.to_thread(self._overlay_places)
        except OSError as error:
            troubles.append(f"overlay: {error}")
        if self._overlay and not troubles and len(wanted) == len(self._fixed):
            troubles.append("overlay: no 200::/8 address yet; is Yggdrasil running?")
        for place in [place for place in self._open if place not in wanted]:
            log.info("no longer listening", place=str(place))
            await self._open.pop(place).stop()
        for place in wanted:
            if place not in self._open and (trouble := await self._listen(runner, place)):
                troubles.append(f"{place}: {trouble}")
        self._tell("; ".join(troubles))
        return not troubles

    def _overlay_places(self) -> list[Place]:
        if not self._overlay:
            return []
        identity = identity_of(self._namespace)
        found = overlay_addresses(self._namespace)
        return [Place(str(address), self._port, self._namespace, identity) for address in found]

    async def _listen(self, runner: web.AppRunner, place: Place) -> str:
        """Open one socket; the reason when that is not possible now."""
        try:
            listener = await asyncio.to_thread(listening_socket, place.namespace, place.host, place.port)
        except OSError as error:
            return str(error)
        site = web.SockSite(runner, listener)
        await site.start()
        self._open[place] = site
        log.info("listening", place=str(place))
        return ""

    def _tell(self, troubles: str) -> None:
        if troubles != self._told:
            self._told = troubles
            if troubles:
                log.warning("cannot listen everywhere yet", reason=troubles)
