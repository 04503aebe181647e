"""A tool that doubles numbers, as a program of its own too: `python -m tests.oio.common.doubling COUNT`."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from oio.common.exceptions import RetryLater
from oio.common.tool import Item, Outcome, Tool, ToolWorker


class Doubling(Tool):
    """Items are `(number,)`; 13 cannot be doubled, and 14 not at the first time."""

    def __init__(self, conf: dict[str, Any], count: int = 0, **kwargs: Any) -> None:
        super().__init__(conf, **kwargs)
        self.count = count
        self.busy = 0
        self.busiest = 0
        self.seen: list[int] = []
        self.lock = threading.Lock()

    @staticmethod
    def string_from_item(item: Item) -> str:
        return str(item[0])

    def _fetch_items(self) -> Iterator[Item]:
        return ((number,) for number in range(self.count))

    def create_worker(
        self, queue_workers: queue.Queue[Item], queue_reply: queue.Queue[Outcome]
    ) -> ToolWorker:
        return DoublingWorker(self, queue_workers, queue_reply)


class DoublingWorker(ToolWorker):
    tool: Doubling

    def _process_item(self, item: Item) -> int:
        number = int(item[0])
        with self.tool.lock:
            first = number not in self.tool.seen
            self.tool.seen.append(number)
            self.tool.busy += 1
            self.tool.busiest = max(self.tool.busiest, self.tool.busy)
        time.sleep(float(self.conf.get("pause", 0.0)))
        with self.tool.lock:
            self.tool.busy -= 1
        if number == 13:
            raise ValueError("13 brings bad luck")
        if number == 14 and first and self.conf.get("retry"):
            raise RetryLater("14 comes too soon")
        return 2 * number


def main() -> None:
    tool = Doubling(
        {"namespace": "NS", "items_per_second": 0, "pause": 0.05, "concurrency": 2}, int(sys.argv[1])
    )
    tool.prepare_local_dispatcher()
    for (number,), info, _ in tool.run():
        print(number, info, flush=True)
    print("done", tool.total_items_processed, len(tool.seen), flush=True)


if __name__ == "__main__":
    main()
