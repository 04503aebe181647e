"""Ask the activation service to fund a new account, so that it can pay its first fees."""

from __future__ import annotations

import aiohttp

from tfchain.errors import ChainError, ChainUnavailable

REQUEST_TIMEOUT = 15.0
MAX_ANSWER = 2048
"""Bytes of an answer that are shown when it is an error."""
ALREADY_ACTIVE = 409


async def activate(url: str, address: str) -> None:
    """POST the account to the service; 200 and 409 (already active) are both fine.

    Raises `ChainUnavailable` when the service cannot be reached or is in trouble, `ChainError` when it says no.
    """
    limit = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.post(url, json={"substrateAccountID": address}) as answer,
        ):
            if answer.ok or answer.status == ALREADY_ACTIVE:
                return
            text = (await answer.content.read(MAX_ANSWER)).decode("utf-8", "replace").strip()
            message = f"activation of {address} at {url} failed with status {answer.status}: {text}"
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise ChainUnavailable(f"activation service {url} cannot be reached: {error!r}") from error
    if answer.status >= 500 or answer.status == 429:
        raise ChainUnavailable(message)
    raise ChainError(message)
