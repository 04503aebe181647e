"""Calls on their way into blocks: one at a time for each account, so nonces never collide."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from tfchain.errors import ChainError, ChainUnavailable, DispatchError
from tfchain.keys import Identity
from tfchain.lease import Lease
from tfchain.models import Receipt
from tfchain.reads import Reads
from tfchain.runtime import Call
from tfchain.submit import Submission

SUBMIT_TIMEOUT = 60.0
"""Seconds for one call to get into a block, its turn included."""


_ITEM_ENDS = ("ItemCompleted", "ItemFailed")


class Submitting(Reads):
    """Any call, alone or several as one."""

    _turns: dict[bytes, asyncio.Lock]

    async def submit(
        self,
        key: Identity,
        pallet: str,
        name: str,
        arguments: dict[str, Any],
        *,
        timeout: float = SUBMIT_TIMEOUT,
    ) -> Receipt:
        """Any call; arguments by name, texts and accounts as bytes."""
        return await self._submit(key, Call(pallet, name, arguments), timeout)

    async def submit_all(
        self, key: Identity, calls: Sequence[Call], *, timeout: float = SUBMIT_TIMEOUT
    ) -> Receipt:
        """Several calls as one: all have effect, or none."""
        values = await self._access.run(partial(_call_values, calls))
        return await self._submit(key, Call("Utility", "batch_all", {"calls": values}), timeout)

    async def submit_each(
        self, key: Identity, calls: Sequence[Call], *, timeout: float = SUBMIT_TIMEOUT
    ) -> list[DispatchError | None]:
        """Several calls in one extrinsic, each on its own: what became of each, in order; None when it had effect."""
        values = await self._access.run(partial(_call_values, calls))
        receipt = await self._submit(key, Call("Utility", "force_batch", {"calls": values}), timeout)
        ends = [event for event in receipt.events if event.pallet == "Utility" and event.name in _ITEM_ENDS]
        if len(ends) != len(calls):
            raise ChainError(f"{len(calls)} calls were submitted, the block tells of {len(ends)}")
        return [
            None
            if event.name == "ItemCompleted"
            else await self._dispatch_error(event.attributes["error"], str(call))
            for event, call in zip(ends, calls, strict=True)
        ]

    async def submit_until_failure(
        self, key: Identity, calls: Sequence[Call], *, timeout: float = SUBMIT_TIMEOUT
    ) -> Receipt:
        """Several calls in order; what was done before the first failure stays done.

        Raises `DispatchError`, naming the place, for the call that failed.
        """
        values = await self._access.run(partial(_call_values, calls))
        receipt = await self._submit(key, Call("Utility", "batch", {"calls": values}), timeout)
        if failed := receipt.event("Utility", "BatchInterrupted"):
            place = int(failed.attributes["index"])
            name = f"call {place + 1} of {len(calls)}, {calls[place]}"
            raise await self._dispatch_error(failed.attributes["error"], name)
        return receipt

    async def submit_call(self, key: Identity, call: Call, *, timeout: float = SUBMIT_TIMEOUT) -> Receipt:
        """A call that was made elsewhere, as those of `tfchain.governance` are."""
        return await self._submit(key, call, timeout)

    async def remark(self, key: Identity, text: bytes) -> Receipt:
        """Put bytes into a block, for anybody to read."""
        return await self.submit(key, "System", "remark_with_event", {"remark": text})

    async def _submit(self, key: Identity, call: Call, timeout: float) -> Receipt:
        """One call of an account after the other, in the order in which they were made."""
        turn = self._turns.setdefault(key.public_key, asyncio.Lock())
        deadline = time.monotonic() + timeout
        try:
            async with asyncio.timeout(timeout):
                await turn.acquire()
        except TimeoutError:
            raise ChainUnavailable(
                f"{call} was not sent: earlier calls of {key.address} took more than {timeout:g} s"
            ) from None
        try:
            return await Submission(self._access, key, call, deadline - time.monotonic()).run()
        finally:
            turn.release()

    async def _call_value(self, call: Call) -> Any:
        (value,) = await self._access.run(partial(_call_values, [call]))
        return value

    async def _dispatch_error(self, value: Any, call: str) -> DispatchError:
        module, name = await self._access.run(partial(_error_name, value))
        return DispatchError(module, name, call)


async def _call_values(calls: Sequence[Call], lease: Lease) -> list[Any]:
    return [lease.runtime.call_value(call) for call in calls]


async def _error_name(value: Any, lease: Lease) -> tuple[str, str]:
    return lease.runtime.dispatch_error(value)


def stored(receipt: Receipt, pallet: str, name: str) -> Any:
    """The object in the event with which a successful call ends."""
    event = receipt.event(pallet, name)
    if event is None:
        raise ChainError(f"block {receipt.block_number} holds the call, but no event {pallet}.{name}")
    return event.attributes["0"]


def optional(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
