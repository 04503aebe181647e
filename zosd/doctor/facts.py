"""Looking: DNS names and certificates."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress

LIMIT = 5.0
"""Seconds for each look at something outside."""


async def reach(host: str, port: int) -> str:
    """Why nobody answers there; "" when somebody does.  The name is resolved anew at each look."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LIMIT):
            await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return "name not found"
    except TimeoutError:
        return "no DNS server answers"
    try:
        async with asyncio.timeout(LIMIT):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"no answer within {LIMIT:g} s"
    except OSError as error:
        return error.strerror or str(error)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return ""


async def certificate(
    host: str, port: int, context: ssl.SSLContext | None = None
) -> tuple[float | None, str]:
    """Unix time at which the certificate ends, and why it is not accepted ("" when it is, or nobody answers)."""
    try:
        async with asyncio.timeout(LIMIT):
            _, writer = await asyncio.open_connection(
                host, port, ssl=context or ssl.create_default_context(), server_hostname=host
            )
    except ssl.SSLCertVerificationError as error:
        return None, error.verify_message
    except (OSError, TimeoutError):
        return None, ""  # that nobody answers is told elsewhere
    try:
        shown = writer.get_extra_info("peercert") or {}
        ends = shown.get("notAfter")
        return (ssl.cert_time_to_seconds(ends) if ends else None), ""
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
