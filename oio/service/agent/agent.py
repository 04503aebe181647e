"""The agent's loop: check every service, register what was found, until told to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

import aiohttp

from oio.service.agent.checks import Checker
from oio.service.agent.configuration import Agent, Watched
from oio.service.agent.health import Health
from oio.service.rpc import RpcClient

log = logging.getLogger(__name__)

PROXY_TIMEOUT: Final = 5.0


class Watching:
    """An agent over some services; `proxy` is `host:port` of the namespace's proxy, or a `;` list of several."""

    def __init__(self, agent: Agent, services: Sequence[Watched], proxy: str) -> None:
        self._agent = agent
        self._services = list(services)
        proxies = [one.strip().removeprefix("http://") for one in proxy.split(";")]
        self._urls = [f"http://{one}/v3.0/{agent.namespace}/conscience" for one in proxies]
        self._health = {
            watched.address: Health(watched.rise or agent.rise, watched.fall or agent.fall)
            for watched in services
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Check and register at every interval until `stop` is set."""
        rpc = RpcClient()
        limit = aiohttp.ClientTimeout(total=PROXY_TIMEOUT)
        try:
            async with aiohttp.ClientSession(timeout=limit) as session:
                checker = Checker(session, rpc)
                while not stop.is_set():
                    found = await asyncio.gather(*(self._look(checker, one) for one in self._services))
                    await self._tell(session, "register", list(found))
                    try:
                        async with asyncio.timeout(self._agent.check_interval):
                            await stop.wait()
                    except TimeoutError:
                        continue
                if self._agent.deregister_on_exit:
                    await self._tell(session, "deregister", [self._described(one) for one in self._services])
        finally:
            await rpc.close()

    async def _look(self, checker: Checker, watched: Watched) -> dict[str, Any]:
        health = self._health[watched.address]
        before, up = health.up, health.note(await checker.passes(watched))
        if up != before:
            log.info("%s %s is %s", watched.type, watched.address, "up" if up else "down")
        numbers = await checker.statistics(watched)
        return {**self._described(watched), "tags": {**watched.tags(), **numbers, "tag.up": up}}

    def _described(self, watched: Watched) -> dict[str, Any]:
        return {"ns": self._agent.namespace, "type": watched.type, "addr": watched.address}

    async def _tell(self, session: aiohttp.ClientSession, act: str, services: list[dict[str, Any]]) -> None:
        if not services:
            return
        for url in list(self._urls):
            try:
                async with session.post(f"{url}/{act}", json=services) as answer:
                    if answer.status == 204:
                        # The one that answers is asked first from now on.
                        self._urls.remove(url)
                        self._urls.insert(0, url)
                        return
                    log.warning("%s: the proxy answers %s %s", act, answer.status, await answer.text())
                    if answer.status < 500:
                        return
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("%s: the proxy at %s cannot be reached: %s", act, url, error)
