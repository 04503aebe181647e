"""Bring an extrinsic into a block, once.

Sending the same bytes twice is harmless, and so is signing anew with the same nonce: the chain takes one extrinsic per
account and nonce.  So after a broken connection the question is only whether one of those that were sent is in a
block.  A new nonce is used only after the old one was taken by something else; eras make sure that nothing that was
given up comes to life later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tfchain.access import Access
from tfchain.backoff import Backoff
from tfchain.codec.extrinsic import Era, Extrinsic, SignedExtra, Signer, extrinsic_hash, signing_payload
from tfchain.errors import (
    ChainUnavailable,
    ConnectionLost,
    DispatchError,
    OutcomeUnknown,
    RpcError,
    SubmissionRefused,
)
from tfchain.keys import Identity
from tfchain.lease import Lease
from tfchain.models.block import Receipt
from tfchain.runtime import Call, Runtime

ERA_PERIOD = 128
"""Blocks for which an extrinsic is valid; about 13 minutes."""
SIGNATURE_TRIES = 5
"""How often an extrinsic whose signature is refused is signed anew, on this endpoint and on others."""
WATCH_TIMEOUT = 30.0
"""Seconds for which one connection is watched before the blocks are searched: a status may be lost."""

CODE_INVALID = 1010
CODE_UNKNOWN_VALIDITY = 1011
CODE_BANNED = 1012
CODE_ALREADY_IMPORTED = 1013
CODE_PRIORITY_TOO_LOW = 1014
CODE_POOL_FULL = 1016

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed extrinsic."""

    encoded: bytes
    nonce: int
    signed_at: int
    """The best block when it was signed."""
    valid_until: int
    """The first block in which it is no longer valid."""

    @property
    def hash(self) -> bytes:
        return extrinsic_hash(self.encoded)


def sign(
    runtime: Runtime,
    genesis: bytes,
    key: Identity,
    call: Call,
    nonce: int,
    best: int,
    birth: tuple[Era, bytes],
) -> Signed:
    """Sign a call; `birth` is the era and the hash of its first block.  Pure, but for sr25519's random nonce."""
    era, birth_hash = birth
    encoded_call = runtime.encode_call(call)
    extra = SignedExtra(era, nonce, tip=0)
    version = runtime.version
    payload = signing_payload(encoded_call, extra, version.spec, version.transaction, genesis, birth_hash)
    signer = Signer(key.public_key, key.type, key.sign(payload), extra)
    death = era.death(best)
    return Signed(Extrinsic(encoded_call, signer).encode(), nonce, best, best if death is None else death)


class Verdict(Enum):
    """What an answer to a submission means for what comes next."""

    SEARCH = "it may be in a block, or another took its nonce"
    WAIT = "the pool would not have it now"
    SIGN_ANEW = "the signature does not fit the chain's present runtime or era"
    REFUSED = "it will never be taken"


def judge(error: RpcError) -> Verdict:
    """Sort the errors that a chain gives at submission (paritytech/substrate: client/rpc-api/src/author/error.rs)."""
    text = f"{error.message} {error.data}".lower()
    if error.code in (CODE_ALREADY_IMPORTED, CODE_PRIORITY_TOO_LOW):
        return Verdict.SEARCH
    if error.code in (CODE_BANNED, CODE_POOL_FULL, CODE_UNKNOWN_VALIDITY):
        return Verdict.WAIT
    if error.code == CODE_INVALID:
        if "outdated" in text or "stale" in text:
            return Verdict.SEARCH
        if "bad signature" in text or "bad proof" in text or "ancient birth" in text:
            return Verdict.SIGN_ANEW
        if "exhaust" in text or "future" in text:
            return Verdict.WAIT
    return Verdict.REFUSED


class Submission:
    """One call on its way into a block."""

    def __init__(self, access: Access, key: Identity, call: Call, timeout: float) -> None:
        self._access = access
        self._key = key
        self._call = call
        self._deadline = time.monotonic() + timeout
        self._timeout = timeout
        self._sent: dict[bytes, Signed] = {}
        self._current: Signed | None = None
        self._searched_to: int | None = None
        self._runtime: Runtime | None = None
        self._signature_failures = 0

    async def run(self) -> Receipt:
        """Submit and wait for inclusion.

        Raises `DispatchError` when the call failed in its block, `SubmissionRefused` when the chain will not take it,
        `OutcomeUnknown` when it was sent and nothing is known of it, `ChainUnavailable` when it was never sent.
        """
        pauses = Backoff(0.1, 2.0)
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise self._gave_up("no answer in time")
            try:
                receipt = await self._access.run(self._step, timeout=left, is_write=True)
            except OutcomeUnknown:
                raise
            except ChainUnavailable as error:
                raise self._gave_up(str(error)) from error
            if receipt is not None:
                return self._checked(receipt)
            await asyncio.sleep(min(pauses.next(), max(self._deadline - time.monotonic(), 0)))

    async def _step(self, lease: Lease) -> Receipt | None:
        """One round on one connection; None when another is needed."""
        if self._sent and (receipt := await self._search(lease)):
            return receipt
        signed = self._current
        if signed is None:
            signed = self._current = await self._sign(lease)
        self._sent[signed.hash] = signed
        try:
            block = await self._watch(lease, signed)
        except RpcError as error:
            return await self._rejected(lease, error)
        return None if block is None else await self._receipt(lease, block, signed.hash)

    async def _sign(self, lease: Lease) -> Signed:
        nonce = int(await lease.request("system_accountNextIndex", self._key.address))
        best, finalised = await lease.best_number(), await lease.finalised()
        # An era that begins at a finalised block cannot lose its birth; where finality is far behind, it would be
        # dead on arrival.
        anchor = finalised.number if best - finalised.number < ERA_PERIOD // 2 else best
        era = Era.mortal(ERA_PERIOD, anchor)
        birth = await lease.block_hash(era.birth(anchor))
        return sign(lease.runtime, lease.genesis, self._key, self._call, nonce, best, (era, birth))

    async def _watch(self, lease: Lease, signed: Signed) -> bytes | None:
        """Send and follow the extrinsic; the hash of its block, or None when it fell out of the pool."""
        outcome: list[bytes | None] = []

        def take(status: Any) -> bool:
            known, block = read_status(status)
            if known:
                outcome.append(block)
            return known

        left = min(WATCH_TIMEOUT, self._deadline - time.monotonic())
        await lease.connection.subscribe(
            "author_submitAndWatchExtrinsic", ["0x" + signed.encoded.hex()], take, max(left, 0.1)
        )
        return outcome[0]

    async def _rejected(self, lease: Lease, error: RpcError) -> Receipt | None:
        verdict = judge(error)
        log.debug("%s was not taken (%s): %s", self._call, error, verdict.value)
        if verdict is Verdict.SEARCH:
            return await self._search(lease)
        if verdict is Verdict.WAIT:
            return None
        if verdict is Verdict.SIGN_ANEW and self._signature_failures < SIGNATURE_TRIES:
            self._signature_failures += 1
            self._access.forget_runtime(lease.runtime)
            self._current = None
            if self._signature_failures % 2 == 0:
                # Asked anew, and still wrong: an endpoint that lags over an upgrade names the former version.
                raise ConnectionLost(
                    f"{lease.connection.url} refuses signatures for the version that it names"
                )
            return None
        if len(self._sent) > 1 and (receipt := await self._search(lease)):
            return receipt
        raise SubmissionRefused(f"{self._call} was not taken: {error}") from error

    async def _search(self, lease: Lease) -> Receipt | None:
        """Look for what was sent in the blocks that came since; give up a nonce that another extrinsic took."""
        best = await lease.best()
        account = await lease.storage("System", "Account", self._key.public_key, at=best.hash)
        first = min(signed.signed_at for signed in self._sent.values()) + 1
        if self._searched_to is not None:
            first = max(first, self._searched_to + 1)
        for number in range(first, best.number + 1):
            block = await lease.block_hash(number)
            for encoded in await lease.extrinsics(block):
                if (found := extrinsic_hash(encoded)) in self._sent:
                    return await self._receipt(lease, block, found)
        current = self._current
        if current is None:
            return None
        if int(account["nonce"]) > current.nonce:
            log.info("nonce %d of %s was taken by another extrinsic", current.nonce, self._key.address)
            self._current = None
            self._searched_to = best.number
        elif best.number >= current.valid_until:
            self._current = None
        return None

    async def _receipt(self, lease: Lease, block: bytes, extrinsic: bytes) -> Receipt:
        body = await lease.extrinsics(block)
        for index, encoded in enumerate(body):
            if extrinsic_hash(encoded) == extrinsic:
                events = await lease.events(block)
                own = tuple(event for event in events if event.extrinsic == index)
                self._runtime = lease.runtime
                return Receipt(await lease.block_number(block), block, index, extrinsic, own)
        raise ConnectionLost(f"{lease.connection.url} named a block that does not hold the extrinsic")

    def _checked(self, receipt: Receipt) -> Receipt:
        for event in receipt.events:
            if (event.pallet, event.name) == ("System", "ExtrinsicFailed"):
                assert self._runtime is not None
                module, name = self._runtime.dispatch_error(event.attributes["dispatch_error"])
                raise DispatchError(module, name, str(self._call))
        return receipt

    def _gave_up(self, reason: str) -> ChainUnavailable:
        if not self._sent:
            return ChainUnavailable(f"{self._call} was not sent within {self._timeout:g} s: {reason}")
        newest = max(self._sent.values(), key=lambda signed: signed.valid_until)
        return OutcomeUnknown(
            f"{self._call} was sent, but whether it is in a block could not be learnt within {self._timeout:g} s "
            f"({reason}); it may come up to block {newest.valid_until}",
            newest.hash,
            newest.valid_until,
        )


def read_status(status: Any) -> tuple[bool, bytes | None]:
    """Whether a status of a watched extrinsic ends the watch, and the block when it is in one."""
    if isinstance(status, dict):
        for name in ("inBlock", "finalized"):
            if isinstance(block := status.get(name), str):
                return True, bytes.fromhex(block.removeprefix("0x"))
        return bool({"usurped", "finalityTimeout", "dropped", "invalid"} & status.keys()), None
    return status in ("dropped", "invalid"), None
