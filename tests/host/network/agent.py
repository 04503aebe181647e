"""Runs inside a simulated node: reads acts as JSON lines, answers with JSON lines."""

from __future__ import annotations

import asyncio
import json
import sys

from tests.host.network import acts


async def main() -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        act, arguments = json.loads(line)
        try:
            answer = {"value": await getattr(acts, act)(**arguments)}
        except Exception as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        print(json.dumps(answer), flush=True)


asyncio.run(main())
