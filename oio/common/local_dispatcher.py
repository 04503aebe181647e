"""Items handed to threads of this process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from oio.common.rate import Rate

if TYPE_CHECKING:
    from oio.common.tool import Item, Outcome, Tool

SHORTEST_QUEUE: Final = 64
LOOK_AROUND: Final = 0.2
"""Seconds between two looks at whether the dispatcher is through."""


class LocalDispatcher:
    """Hands items to `concurrency` threads of this process, at the tool's rate."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        limit = 2 * tool.items_per_second or SHORTEST_QUEUE * tool.concurrency
        self.queue_workers: queue.Queue[Item] = queue.Queue(max(1, int(limit)))
        self.queue_reply: queue.Queue[Outcome] = queue.Queue()
        self._stop = threading.Event()
        self._sent = 0
        self._all_sent = threading.Event()

    def stop(self) -> None:
        """Send no more items."""
        self._stop.set()

    def run(self) -> Iterator[Outcome]:
        """The outcomes as they come; all threads have ended afterwards, also when the caller stops early."""
        workers = [
            self.tool.create_worker(self.queue_workers, self.queue_reply)
            for _ in range(self.tool.concurrency)
        ]
        threads = [threading.Thread(target=worker.run, daemon=True) for worker in workers]
        sender = threading.Thread(target=self._send, daemon=True)
        for thread in (*threads, sender):
            thread.start()
        received = 0
        try:
            while not (self._all_sent.is_set() and received == self._sent):
                try:
                    outcome = self.queue_reply.get(timeout=LOOK_AROUND)
                except queue.Empty:
                    continue
                received += 1
                yield outcome
        finally:
            self._stop.set()
            sender.join()
            for _ in threads:
                self.queue_workers.put(None)
            for thread in threads:
                thread.join()

    def _send(self) -> None:
        rate = Rate(self.tool.items_per_second)
        try:
            self.tool._load_total_expected_items()
            for item in self.tool._fetch_items():
                if not rate.wait(self._stop) or not self._put(item):
                    break
        except Exception:
            self.tool.logger.exception("Items could not be fetched")
            self.tool.success = False
        finally:
            self._all_sent.set()

    def _put(self, item: Item) -> bool:
        while not self._stop.is_set():
            try:
                self.queue_workers.put(item, timeout=LOOK_AROUND)
            except queue.Full:
                continue
            self._sent += 1
            return True
        return False
