"""Verification of people by an outside service (decision 3): a hook, off unless an address is configured."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import aiohttp

from gridtypes import TwinId
from zosd.accept.refusal import Refusal

TIMEOUT = 10.0
GOOD_FOR = 600.0
"""Seconds for which a positive answer is remembered."""
MOST_REMEMBERED = 16384
TRANSPORT_TRIES = 3
RETRY_PAUSE = 1.0
"""Seconds before the second try, twice as long before the next."""


class Kyc(Protocol):
    async def check(self, twin: TwinId) -> None:
        """Raises Refusal when the twin is not verified or the service does not answer."""
        ...


class NoKyc:
    async def check(self, twin: TwinId) -> None:
        """Everybody is welcome."""


class KycService:
    """`GET <url>/api/v1/status?twin_id=<n>`; only connection errors and 5xx are tried again."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/api/v1/status"
        self._verified: dict[TwinId, float] = {}

    async def check(self, twin: TwinId) -> None:
        if self._verified.get(twin, 0.0) > time.monotonic():
            return
        status = await self._ask(twin)
        if status != "VERIFIED":
            raise Refusal(f"user with twin id {twin} is not verified")
        if len(self._verified) >= MOST_REMEMBERED:
            self._verified.clear()
        self._verified[twin] = time.monotonic() + GOOD_FOR

    async def _ask(self, twin: TwinId) -> str:
        trouble = ""
        for attempt in range(TRANSPORT_TRIES):
            if attempt:
                await asyncio.sleep(RETRY_PAUSE * 2.0 ** (attempt - 1))
            try:
                async with (
                    aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session,
                    session.get(self._url, params={"twin_id": str(twin)}) as answer,
                ):
                    if answer.status >= 500:
                        trouble = f"status {answer.status}"
                        continue
                    if answer.status != 200:
                        raise Refusal("failed to get twin verification status")
                    body = await answer.json(content_type=None)
                    return str(body.get("result", {}).get("status", "")) if isinstance(body, dict) else ""
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                trouble = str(error) or type(error).__name__
        raise Refusal(f"failed to get twin verification status: {trouble}")
