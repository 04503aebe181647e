"""A program that the node asks about the machine under it."""

from __future__ import annotations

import asyncio

LIMIT = 10.0
"""Seconds."""
MOST_OUTPUT = 1 << 20
"""Bytes."""


class ToolFailed(Exception):
    """The program is missing, failed, or did not end; `str(e)` has its last line (decision 52)."""


async def output_of(program: str, *arguments: str) -> str:
    """What the program printed.  Raises ToolFailed."""
    try:
        process = await asyncio.create_subprocess_exec(
            program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as error:
        raise ToolFailed(f"{program} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(LIMIT):
            output, errors = await process.communicate()
    except TimeoutError:
        raise ToolFailed(f"{program} did not end within {LIMIT:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = errors.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise ToolFailed(f"{program} ended with {process.returncode}: {lines[-1][:200]}")
    return output[:MOST_OUTPUT].decode(errors="replace")
