"""Ask whichever endpoint is fit: connect, check that it is the right chain, retry elsewhere, give up in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from tfchain import choice
from tfchain.codec.scale import ScaleError
from tfchain.connection import Connection
from tfchain.endpoint import Endpoint
from tfchain.errors import ChainClosed, ChainError, ChainUnavailable, ConnectionLost, WrongChain
from tfchain.lease import Lease
from tfchain.runtime import Runtime, Version

SPEC_NAME = "substrate-threefold"
REQUEST_TIMEOUT = 10.0
"""Seconds for one request and for one connection attempt."""
COMPARE_EVERY = 6.0
"""Seconds between two comparisons of the endpoints' heads; a block's time."""
COMPARE_TIMEOUT = 3.0
VERSION_AGE = 6.0
"""Seconds for which an endpoint's runtime version is believed."""
MAX_RUNTIMES = 8

T = TypeVar("T")
Work = Callable[[Lease], Awaitable[T]]

log = logging.getLogger(__name__)


class Access:
    """The endpoints of one chain."""

    def __init__(self, urls: Sequence[str], genesis: bytes | None, timeout: float) -> None:
        if not urls:
            raise ValueError("no chain endpoint is configured: give at least one ws:// or wss:// URL")
        self.endpoints = tuple(Endpoint(url) for url in dict.fromkeys(urls))
        self.genesis = genesis
        self.timeout = timeout
        self._runtimes: dict[tuple[bytes, Version], Runtime] = {}
        self._reading_metadata = asyncio.Lock()
        self._versions: dict[str, tuple[float, Version]] = {}
        self._current: Endpoint | None = None
        self._compared_at = -COMPARE_EVERY
        self._comparison: asyncio.Task[None] | None = None
        self._is_closed = False

    async def run(self, work: Work[T], timeout: float | None = None, *, is_write: bool = False) -> T:
        """Do `work` on an endpoint, on the next one when a connection fails.

        `work` may run several times and must bear that.  Raises `ChainUnavailable` after `timeout` seconds.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        reasons: dict[str, str] = {}
        while True:
            endpoint = await self._choose(deadline)
            self._require_open()
            pause = min(endpoint.not_before, deadline) - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            left = deadline - time.monotonic()
            if left <= 0:
                raise ChainUnavailable(self._report(reasons))
            try:
                return await self.run_on(endpoint, work, left, is_write=is_write)
            except (ConnectionLost, WrongChain) as error:
                reasons[endpoint.url] = str(error)
                if isinstance(error, WrongChain) and len(self.endpoints) == 1:
                    raise

    async def run_on(self, endpoint: Endpoint, work: Work[T], timeout: float, *, is_write: bool = False) -> T:
        """Do `work` on this endpoint, once; raises `ConnectionLost`, also after `timeout` seconds, and `WrongChain`."""
        try:
            async with asyncio.timeout(timeout):
                result = await self._attempt(endpoint, work, is_write)
        except TimeoutError:
            reason = f"{endpoint.url} did not answer within {timeout:.3g} s"
            endpoint.failed(reason)
            raise ConnectionLost(reason) from None
        except (ConnectionLost, WrongChain) as error:
            endpoint.failed(str(error))
            raise
        endpoint.worked()
        return result

    async def close(self) -> None:
        """End all connections, and what waits for them with `ChainClosed`."""
        self._is_closed = True
        if self._comparison is not None:
            self._comparison.cancel()
            await asyncio.gather(self._comparison, return_exceptions=True)
        for endpoint in self.endpoints:
            endpoint.close()

    async def prepare(self, endpoint: Endpoint, connection: Connection) -> Lease:
        """A lease over a connection: makes sure that it is the right chain and its runtime is known."""
        if not connection.is_checked:
            await self._check(connection)
        return Lease(connection, await self._runtime(connection), self.require_genesis())

    def require_genesis(self) -> bytes:
        if self.genesis is None:
            raise ChainUnavailable("no endpoint was reached yet, so the chain is not known")
        return self.genesis

    def forget_runtime(self, runtime: Runtime) -> None:
        """Ask for version and metadata again: they did not fit what was read."""
        self._versions.clear()
        self._runtimes = {key: known for key, known in self._runtimes.items() if known is not runtime}

    async def _attempt(self, endpoint: Endpoint, work: Work[T], is_write: bool) -> T:
        self._require_open()
        async with endpoint.connection(REQUEST_TIMEOUT, is_write) as connection:
            lease = await self.prepare(endpoint, connection)
            try:
                return await work(lease)
            except ScaleError as error:
                log.warning("%s: %s; asking for its runtime again", endpoint.url, error)
                self.forget_runtime(lease.runtime)
            try:
                return await work(await self.prepare(endpoint, connection))
            except ScaleError as error:
                raise ChainError(f"{endpoint.url}: {error}") from error

    async def _check(self, connection: Connection) -> None:
        genesis = await connection.request("chain_getBlockHash", [0], REQUEST_TIMEOUT)
        if not isinstance(genesis, str):
            raise ConnectionLost(f"{connection.url} has no genesis block yet")
        raw = bytes.fromhex(genesis.removeprefix("0x"))
        if self.genesis is not None and raw != self.genesis:
            raise WrongChain(
                f"{connection.url} serves another chain: its genesis is {genesis}, ours is 0x{self.genesis.hex()}"
            )
        await self._version(connection)
        self.genesis = raw
        connection.is_checked = True

    async def _version(self, connection: Connection) -> Version:
        answer = await connection.request("state_getRuntimeVersion", [], REQUEST_TIMEOUT)
        version = _read_version(connection.url, answer)
        self._versions[connection.url] = time.monotonic(), version
        return version

    async def _runtime(self, connection: Connection) -> Runtime:
        since, version = self._versions.get(connection.url, (0.0, None))
        if version is None or time.monotonic() - since > VERSION_AGE:
            version = await self._version(connection)
        return await self.runtime_of(connection, version)

    async def runtime_at(self, connection: Connection, block: bytes) -> Runtime:
        """The runtime that executes the block after `block`."""
        at = "0x" + block.hex()
        answer = await connection.request("state_getRuntimeVersion", [at], REQUEST_TIMEOUT)
        return await self.runtime_of(connection, _read_version(connection.url, answer), at)

    async def dedicated(self) -> tuple[Endpoint, Connection]:
        """A connection of one's own, to be closed by the caller, for what lasts long."""
        self._require_open()
        endpoint = await self._choose(time.monotonic() + self.timeout)
        await asyncio.sleep(max(endpoint.not_before - time.monotonic(), 0))
        try:
            connection = await endpoint.open(REQUEST_TIMEOUT)
            try:
                await self._check(connection)
            except BaseException:
                connection.close()
                raise
        except (ConnectionLost, WrongChain) as error:
            endpoint.failed(str(error))
            raise
        endpoint.worked()
        return endpoint, connection

    @property
    def current(self) -> Endpoint | None:
        """The endpoint that was chosen last."""
        return self._current

    async def runtime_of(self, connection: Connection, version: Version, at: str | None = None) -> Runtime:
        """The runtime of a version; `at` is a block hash at which it is in force, the best block otherwise."""
        key = self.require_genesis(), version
        if key in self._runtimes:
            return self._runtimes[key]
        async with self._reading_metadata:
            if key in self._runtimes:
                return self._runtimes[key]
            answer = await connection.request("state_getMetadata", [at] if at else [], REQUEST_TIMEOUT)
            raw = bytes.fromhex(answer.removeprefix("0x"))
            while len(self._runtimes) >= MAX_RUNTIMES:
                del self._runtimes[next(iter(self._runtimes))]
            self._runtimes[key] = Runtime(raw, version)
            log.info(
                "chain runtime %d (transactions %d) at %s", version.spec, version.transaction, connection.url
            )
            return self._runtimes[key]

    # Choosing

    async def _choose(self, deadline: float) -> Endpoint:
        if len(self.endpoints) == 1:
            self._current = self.endpoints[0]
            return self._current
        if time.monotonic() - self._compared_at > COMPARE_EVERY and self._comparison is None:
            self._comparison = asyncio.create_task(self._compare())
        if self._current is None and self._comparison is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(deadline - time.monotonic(), 0)):
                    await asyncio.shield(self._comparison)
        heads = [endpoint.head for endpoint in self.endpoints]
        troubles = [endpoint.trouble is not None for endpoint in self.endpoints]
        if all(troubles):
            chosen = min(self.endpoints, key=lambda endpoint: endpoint.not_before)
        else:
            chosen = self.endpoints[choice.order(heads, troubles)[0]]
        self._switch(chosen)
        return chosen

    async def _compare(self) -> None:
        """Ask all endpoints for their best block."""
        try:
            for endpoint in self.endpoints:
                # While nobody has said which chain is meant, the first endpoint in the configured order decides.
                if self.genesis is None:
                    await self._look(endpoint)
            await asyncio.gather(*(self._look(endpoint) for endpoint in self.endpoints))
            behind = choice.lagging([endpoint.head for endpoint in self.endpoints])
            if any(behind):
                # Blocks may have come between two answers: who looks late is asked once more.
                late = [endpoint for endpoint, is_late in zip(self.endpoints, behind, strict=True) if is_late]
                await asyncio.gather(*(self._look(endpoint) for endpoint in late))
        finally:
            self._compared_at = time.monotonic()
            self._comparison = None

    async def _look(self, endpoint: Endpoint) -> None:
        if endpoint.not_before > time.monotonic():
            endpoint.head = None
            return
        try:
            endpoint.head = await self.run_on(endpoint, lambda lease: lease.best_number(), COMPARE_TIMEOUT)
        except (ChainUnavailable, ChainError) as error:
            endpoint.head = None
            if endpoint.trouble is None:
                endpoint.failed(str(error))

    def _switch(self, chosen: Endpoint) -> None:
        before, self._current = self._current, chosen
        if before is None or before is chosen:
            return
        if before.trouble:
            reason = before.trouble
        elif before.head is not None and chosen.head is not None and before.head < chosen.head:
            reason = f"{before.url} is at block {before.head}, {chosen.url} at {chosen.head}"
        else:
            reason = "it is the preferred one again"
        log.warning("chain endpoint is now %s, not %s: %s", chosen.url, before.url, reason)

    def _require_open(self) -> None:
        if self._is_closed:
            raise ChainClosed("the chain client was closed")

    def _report(self, reasons: dict[str, str]) -> str:
        waiting = {endpoint.url: endpoint.trouble for endpoint in self.endpoints if endpoint.trouble}
        texts = [text for text in {**waiting, **reasons}.values() if text]
        return "the chain cannot be reached: " + ("; ".join(texts) or "no endpoint answered in time")


def _read_version(url: str, answer: Any) -> Version:
    try:
        name = answer["specName"]
        version = Version(int(answer["specVersion"]), int(answer["transactionVersion"]))
    except (TypeError, KeyError, ValueError):
        raise ConnectionLost(f"{url} gave no runtime version: {answer!r:.200}") from None
    if name != SPEC_NAME:
        raise WrongChain(f"{url} serves a chain of {name!r}, {SPEC_NAME!r} is wanted")
    return version
