"""Subscriptions of one connection, and pushes that never hold up a block.

Pushes go into a bounded queue; a connection that does not read fast enough is closed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable
from typing import Any

from tfchain.codec.header import Header
from tfchain.devchain.chain import DevChain, NewBlock
from tfchain.devchain.pool import Status
from tfchain.devchain.rpc.arguments import Arguments, hex_of
from tfchain.devchain.rpc.errors import TOO_MANY_SUBSCRIPTIONS, RpcError
from tfchain.devchain.rpc.reads import MOST_KEYS, Reads
from tfchain.devchain.validity import Refused

log = logging.getLogger(__name__)

MOST_SUBSCRIPTIONS = 1024
QUEUE_MESSAGES = 4096
QUEUE_BYTES = 32 << 20

SUBSCRIBE = {
    "chain_subscribeNewHeads": "chain_unsubscribeNewHeads",
    "chain_subscribeNewHead": "chain_unsubscribeNewHead",
    "subscribe_newHead": "unsubscribe_newHead",
    "chain_subscribeAllHeads": "chain_unsubscribeAllHeads",
    "chain_subscribeFinalizedHeads": "chain_unsubscribeFinalizedHeads",
    "chain_subscribeFinalisedHeads": "chain_unsubscribeFinalisedHeads",
    "state_subscribeStorage": "state_unsubscribeStorage",
    "state_subscribeRuntimeVersion": "state_unsubscribeRuntimeVersion",
    "chain_subscribeRuntimeVersion": "chain_unsubscribeRuntimeVersion",
    "author_submitAndWatchExtrinsic": "author_unwatchExtrinsic",
}
"""Methods that subscribe, and those that end it."""
_GOES_ON = {"inBlock", "retracted"}
"""Statuses of an extrinsic after which others come."""


class Outbox:
    """Messages for one connection, in order.

    A reader that falls too far behind is cut off at once by `abort`: its socket takes nothing, so it could not even be
    told.
    """

    def __init__(self, abort: Callable[[], None]) -> None:
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._bytes = 0
        self._abort = abort
        self._is_cut = False

    def put(self, message: Any) -> None:
        """Queue a message; never waits."""
        if self._is_cut:
            return
        text = json.dumps(message, separators=(",", ":"))
        if self._queue.qsize() >= QUEUE_MESSAGES or self._bytes + len(text) > QUEUE_BYTES:
            self._is_cut = True
            log.warning("a connection that reads too slowly is cut off")
            self._abort()
            return
        self._bytes += len(text)
        self._queue.put_nowait(text)

    async def next(self) -> str:
        text = await self._queue.get()
        self._bytes -= len(text)
        return text


class Subscriptions:
    """What one connection listens to."""

    def __init__(self, chain: DevChain, reads: Reads, outbox: Outbox) -> None:
        self._chain = chain
        self._view = reads.view
        self._reads = reads
        self._outbox = outbox
        self._ends: dict[str, Callable[[], None]] = {}

    def close(self) -> None:
        for end in list(self._ends.values()):
            end()
        self._ends.clear()

    def subscribe(self, method: str, arguments: Arguments) -> tuple[str, Callable[[], None]]:
        """The new subscription's id, and what to do once the answer with it is on its way.

        Raises RpcError.
        """
        if len(self._ends) >= MOST_SUBSCRIPTIONS:
            raise RpcError(TOO_MANY_SUBSCRIPTIONS, f"Too many subscriptions; at most {MOST_SUBSCRIPTIONS}")
        number = secrets.token_urlsafe(12)
        if "Storage" in method:
            return number, self._storage(number, arguments.data_list(0, "keys", MOST_KEYS))
        if "RuntimeVersion" in method:
            return number, self._runtime_version(number)
        if "Finali" in method:
            return number, self._finalised(number)
        if method == "author_submitAndWatchExtrinsic":
            return number, self._watch(number, arguments.data(0, "extrinsic"))
        return number, self._heads(number, "chain_allHead" if "AllHeads" in method else "chain_newHead")

    def unsubscribe(self, number: Any) -> bool:
        end = self._ends.pop(str(number), None)
        if end is None:
            return False
        end()
        return True

    def _push(self, number: str, method: str, result: Any) -> None:
        if number in self._ends:
            params = {"subscription": number, "result": result}
            self._outbox.put({"jsonrpc": "2.0", "method": method, "params": params})

    def _heads(self, number: str, push: str) -> Callable[[], None]:
        def on_block(_: NewBlock) -> None:
            self._push(number, push, self._view.head.header.to_json())

        def begin() -> None:
            self._listen(number, self._chain.block_listeners, on_block)
            self._push(number, push, self._view.head.header.to_json())

        return begin

    def _finalised(self, number: str) -> Callable[[], None]:
        def on_header(_: Header, _hash: bytes) -> None:
            self._push(number, "chain_finalizedHead", self._view.finalised.header.to_json())

        def begin() -> None:
            self._listen(number, self._chain.finalised_listeners, on_header)
            self._push(number, "chain_finalizedHead", self._view.finalised.header.to_json())

        return begin

    def _storage(self, number: str, keys: list[bytes]) -> Callable[[], None]:
        known: dict[bytes, bytes | None] = {}

        def push() -> None:
            """Tell what is not known yet; at first that is everything."""
            state = self._view.newest_state
            now = {key: self._view.value(key, state) for key in keys}
            changes = [[hex_of(key), hex_of(now[key])] for key in keys if known.get(key, ...) != now[key]]
            known.update(now)
            if changes:
                block = hex_of(self._view.hash_of(state))
                self._push(number, "state_storage", {"block": block, "changes": changes})

        def begin() -> None:
            self._listen(number, self._chain.block_listeners, lambda _: push())
            push()

        return begin

    def _runtime_version(self, number: str) -> Callable[[], None]:
        def push() -> None:
            self._push(number, "state_runtimeVersion", self._reads.runtime_version())

        def begin() -> None:
            self._listen(number, self._chain.version_listeners, push)
            push()

        return begin

    def _watch(self, number: str, encoded: bytes) -> Callable[[], None]:
        held: list[Status] = []
        begun = False

        def on_status(status: Status) -> None:
            held.append(status)
            flush()

        def flush() -> None:
            while begun and held and self._shows(held[0]):
                tell(held.pop(0))

        def tell(status: Status) -> None:
            self._push(number, "author_extrinsicUpdate", status)
            if (isinstance(status, dict) and not _GOES_ON & status.keys()) or status in (
                "invalid",
                "dropped",
            ):
                self.unsubscribe(number)

        submit(self._chain, encoded, on_status)

        def begin() -> None:
            nonlocal begun
            begun = True
            self._listen(number, self._chain.block_listeners, lambda _: flush())
            flush()

        return begin

    def _shows(self, status: Status) -> bool:
        """Whether this endpoint has the block of a status already; one that lags has not."""
        block = isinstance(status, dict) and (status.get("inBlock") or status.get("finalized"))
        return not block or self._view.number_of(bytes.fromhex(str(block)[2:])) is not None

    def _listen(self, number: str, listeners: list[Any], listener: Any) -> None:
        listeners.append(listener)
        self._ends[number] = lambda: listeners.remove(listener)


def submit(chain: DevChain, encoded: bytes, watcher: Callable[[Status], None] | None) -> bytes:
    """Submit an extrinsic; its hash.  Raises RpcError with the chain's code for what is refused."""
    try:
        return chain.submit(encoded, watcher).hash
    except Refused as refused:
        raise RpcError(refused.code, refused.message, refused.data) from refused
