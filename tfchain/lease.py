"""A connection for the time of one piece of work, together with the runtime that its chain runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfchain.codec.values import Value
from tfchain.connection import Connection
from tfchain.errors import ConnectionLost, NotFound, RpcError
from tfchain.models.block import Event, Head
from tfchain.runtime import Runtime

PRUNED_CODES = frozenset({-32000, 4003})
"""RPC errors for a block whose state is no longer kept or not known: query errors and `State already discarded`."""
KEYS_PER_PAGE = 256


class Lease:
    """What work on the chain is done with.  All hashes are bytes; `at` is a block, the best one when None."""

    def __init__(self, connection: Connection, runtime: Runtime, genesis: bytes) -> None:
        self.connection = connection
        self.runtime = runtime
        self.genesis = genesis

    async def request(self, method: str, *params: Any) -> Any:
        return await self.connection.request(method, params)

    async def best(self) -> Head:
        """The best block."""
        number = await self.best_number()
        return Head(number, await self.block_hash(number))

    async def best_number(self) -> int:
        return self._number(await self.request("chain_getHeader"))

    async def finalised(self) -> Head:
        """The last finalised block."""
        answer = await self.request("chain_getFinalizedHead")
        return Head(self._number(await self.request("chain_getHeader", answer)), self._bytes(answer))

    async def block_hash(self, number: int) -> bytes:
        """Raises `NotFound` for a block that does not exist (yet)."""
        answer = await self.request("chain_getBlockHash", number)
        if answer is None:
            raise NotFound(f"{self.connection.url} has no block {number}")
        return self._bytes(answer)

    async def block_number(self, block: bytes) -> int:
        return self._number(await self.request("chain_getHeader", "0x" + block.hex()))

    async def extrinsics(self, block: bytes) -> list[bytes]:
        """The body of a block."""
        answer = await self.request("chain_getBlock", "0x" + block.hex())
        try:
            return [self._bytes(one) for one in answer["block"]["extrinsics"]]
        except (TypeError, KeyError):
            raise NotFound(f"{self.connection.url} has no block 0x{block.hex()}") from None

    async def storage(self, pallet: str, item: str, *keys: Value, at: bytes | None = None) -> Value:
        """A storage value: decoded, its default, or None."""
        raw = await self.raw_storage(self.runtime.storage_key(pallet, item, *keys), at)
        return self.runtime.storage_value(pallet, item, raw)

    async def raw_storage(self, key: bytes, at: bytes | None = None) -> bytes | None:
        if at is None:
            answer = await self.request("state_getStorage", "0x" + key.hex())
        else:
            answer = await self._at(at, "state_getStorage", "0x" + key.hex())
        return None if answer is None else self._bytes(answer)

    async def map_keys(self, pallet: str, item: str, after: bytes | None, at: bytes) -> list[bytes]:
        """The next page of keys of a map."""
        prefix = "0x" + self.runtime.map_prefix(pallet, item).hex()
        start = prefix if after is None else "0x" + after.hex()
        answer = await self._at(at, "state_getKeysPaged", prefix, KEYS_PER_PAGE, start)
        return [self._bytes(key) for key in answer]

    async def raw_values(self, keys: Sequence[bytes], at: bytes) -> list[bytes | None]:
        """The values of several keys in one request."""
        asked = ["0x" + key.hex() for key in keys]
        answer = await self._at(at, "state_queryStorageAt", asked)
        found = dict(answer[0]["changes"]) if answer else {}
        return [None if found.get(key) is None else self._bytes(found[key]) for key in asked]

    async def events(self, block: bytes) -> tuple[Event, ...]:
        """The events of a block, decoded with this lease's runtime; raises `NotFound` when they are pruned."""
        return self.runtime.events(
            await self.raw_storage(self.runtime.storage_key("System", "Events"), block)
        )

    async def _at(self, block: bytes, method: str, *params: Any) -> Any:
        """Ask for something as of a block; raises `NotFound` when its state is not kept."""
        try:
            return await self.request(method, *params, "0x" + block.hex())
        except RpcError as error:
            if error.code in PRUNED_CODES:
                raise NotFound(
                    f"{self.connection.url} does not keep block 0x{block.hex()}: {error}"
                ) from error
            raise

    def _number(self, header: Any) -> int:
        try:
            return int(header["number"], 16)
        except (TypeError, KeyError, ValueError):
            raise ConnectionLost(f"{self.connection.url} gave no block header: {header!r:.200}") from None

    def _bytes(self, answer: Any) -> bytes:
        try:
            return bytes.fromhex(answer.removeprefix("0x"))
        except (AttributeError, ValueError):
            raise ConnectionLost(f"{self.connection.url} gave no hexadecimal text: {answer!r:.200}") from None
