"""Peers that are gone without a word: who is silent is asked, and who does not answer is cut off.

One look at all connections now and then, instead of a timer that every message sets anew.
"""

from __future__ import annotations

import asyncio

import structlog

from rmb.relay.hub import Hub
from rmb.relay.metrics import Metrics

log = structlog.get_logger("rmb.relay")

LOOKS = 4
"""At the connections, in the time after which a silent peer is asked."""
AT_ONCE = 500
"""Connections that are looked at before others have their turn."""


async def keep_alive(hub: Hub, metrics: Metrics, period: float) -> None:
    """Ask who was silent for `period` seconds; who does not answer within half of it is gone, whatever its socket says.

    A part of a message counts as an answer.  Runs for ever.
    """
    loop = asyncio.get_running_loop()
    looked = loop.time()
    while True:
        await asyncio.sleep(period / LOOKS)
        slept = loop.time() - looked > period / 2  # we ourselves: answers may be lying in the sockets
        looked = loop.time()
        for number, connection in enumerate(hub.connections, 1):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            now = loop.time()
            if slept or connection.silence() < period:
                connection.asked = None
            elif connection.asked is None:
                connection.ask(now)
            elif now - connection.asked >= period / 2:
                log.info("a peer does not answer and is cut off", session=str(connection.session))
                metrics.evictions.labels("no_answer").inc()
                connection.abort()
