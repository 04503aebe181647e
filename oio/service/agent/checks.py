"""What is done to find out how a service is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os

import aiohttp
import psutil

from oio.service.agent.configuration import Check, Statistic, Watched
from oio.service.rpc import RpcClient
from oio.service.status import ServiceError

log = logging.getLogger(__name__)


class Checker:
    """Runs checks and reads statistics."""

    def __init__(self, session: aiohttp.ClientSession, rpc: RpcClient) -> None:
        self._session = session
        self._rpc = rpc

    async def passes(self, watched: Watched) -> bool:
        """Whether all checks of a service pass; without any, a TCP connection is tried."""
        checks = watched.checks or (Check(type="tcp"),)
        return all(await asyncio.gather(*(self._passes(watched, check) for check in checks)))

    async def _passes(self, watched: Watched, check: Check) -> bool:
        try:
            async with asyncio.timeout(check.timeout):
                if check.type == "asn1":
                    await self._rpc.call(watched.address, "ping", {}, check.timeout)
                    return True
                if check.type == "http":
                    url = f"http://{watched.address}/{check.uri.removeprefix('/')}"
                    async with self._session.get(url) as answer:
                        return 200 <= answer.status < 300
                _, writer = await asyncio.open_connection(watched.host, watched.port)
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
                return True
        except (TimeoutError, OSError, aiohttp.ClientError, ServiceError) as error:
            log.debug("%s %s: %s: %s", watched.type, watched.address, check.type, error)
            return False

    async def statistics(self, watched: Watched) -> dict[str, float]:
        """Numbers of a service; those that cannot be had are left out, so that its score stays as it was."""
        found: dict[str, float] = {}
        for statistic in watched.stats:
            with contextlib.suppress(OSError, aiohttp.ClientError, ValueError, TimeoutError):
                found |= await self._statistic(watched, statistic)
        return found

    async def _statistic(self, watched: Watched, statistic: Statistic) -> dict[str, float]:
        if statistic.type == "system":
            return {"stat.cpu": round(100 - psutil.cpu_percent(None), 1)}
        if statistic.type == "volume":
            room = os.statvfs(statistic.path)
            return {"stat.space": round(100 * room.f_bavail / max(1, room.f_blocks), 1), "stat.io": 100.0}
        url = f"http://{watched.address}/{statistic.uri.removeprefix('/')}"
        limit = aiohttp.ClientTimeout(total=2.0)
        async with self._session.get(url, timeout=limit) as answer:
            document = await answer.json(content_type=None)
        if not isinstance(document, dict):
            return {}
        return {
            f"stat.{name}": value
            for name, value in document.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
