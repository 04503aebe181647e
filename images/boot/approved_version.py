"""`approved_version`: ask the chain which release it approves, print its value as JSON text, and end.

A program of its own, so that the chain client is not in memory for the rest of the node's life.
"""

from __future__ import annotations

import asyncio
import json
import sys

from images.boot import given
from tfchain import Chain
from tfchain.errors import ChainError

LIMIT_S = 60.0


def main() -> None:
    """Status 1 and a sentence when no endpoint answers."""
    try:
        print(json.dumps(asyncio.run(_ask(given.settings().services.substrate))))
    except (ChainError, OSError, TimeoutError, ValueError) as problem:
        print(f"the chain cannot be asked for the approved release: {problem}", file=sys.stderr)
        raise SystemExit(1) from None


async def _ask(urls: tuple[str, ...]) -> str:
    chain = Chain(list(urls))
    try:
        async with asyncio.timeout(LIMIT_S):
            return await chain.zos_version()
    finally:
        await chain.close()


if __name__ == "__main__":
    main()
