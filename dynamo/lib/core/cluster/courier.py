"""The small process beside a server that writes its changes on boards: `python -m dynamo.core.cluster.courier`.

It reads lines of JSON from standard input, `{"batch", "peers": {name: params}}`, and ends when that ends.  Every peer
has a thread of its own, so that one that does not answer delays nobody else.  What cannot be delivered is dropped: the
peer reads it from the log.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from dynamo.core.cluster.board import BoardDatabase, from_json, post
from dynamo.core.components.impl.mysql_database import MySQLDatabase
from dynamo.core.master.changelog import Batch
from dynamo.dataformat import DynamoError

LOG = logging.getLogger(__name__)

MAX_WAITING = 100
"""Most batches that wait for a peer."""
TRIES = 2
"""How often a batch is written: a connection may have gone while nothing was to be said."""
LAST_S = 5.0
"""How long the last batches may take after the end of the server, in seconds."""


class Peer:
    """Another server, and the thread that writes on its board."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: queue.Queue[tuple[Batch, dict[str, Any]] | None] = queue.Queue(MAX_WAITING)
        self._params: dict[str, Any] = {}
        self._database: MySQLDatabase | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def send(self, batch: Batch, params: dict[str, Any]) -> None:
        """Deliver a batch soon."""
        try:
            self._waiting.put_nowait((batch, params))
        except queue.Full:
            LOG.warning(
                "Batch %d is not written on the board of %s: too many wait",
                batch.version.sequence,
                self._name,
            )

    def finish(self, until: float) -> None:
        """Deliver what waits, until a moment of the monotonic clock."""
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while (found := self._waiting.get()) is not None:
            batch, params = found
            try:
                post(self._connected(params), batch)
            except DynamoError as error:
                LOG.warning(
                    "Batch %d is not on the board of %s: %s", batch.version.sequence, self._name, error
                )

    def _connected(self, params: dict[str, Any]) -> MySQLDatabase:
        if self._database is None or self._params != params:
            if self._database is not None:
                self._database.close()
            self._database, self._params = None, params
            self._database = BoardDatabase(params)
        return self._database


def run(lines: Iterable[bytes]) -> None:
    """Deliver what lines ask for, until they end."""
    peers: dict[str, Peer] = {}
    for line in lines:
        order = json.loads(line)
        batch = from_json(order["batch"])
        for name, params in order["peers"].items():
            if name not in peers:
                peers[name] = Peer(name)
            peers[name].send(batch, params)
    until = time.monotonic() + LAST_S
    for peer in peers.values():
        peer.finish(until)


def main() -> None:
    """The process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s:%(levelname)s:%(name)s: %(message)s")
    run(sys.stdin.buffer)


if __name__ == "__main__":
    main()
