"""Tools: they take items, let workers process them, and yield what came of each."""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

from oio.common.configuration import validate_service_conf
from oio.common.distributed_dispatcher import DistributedDispatcher, ListeningDispatcher
from oio.common.exceptions import OioException, RetryLater
from oio.common.local_dispatcher import LocalDispatcher
from oio.common.logger import get_logger
from oio.common.values import float_value, int_value

Item = Any
Outcome = tuple[Item, Any, str | None]
"""An item, what its worker returned, and the text of its error or None."""


class Dispatcher(Protocol):
    """Lets items be processed."""

    def run(self) -> Iterator[Outcome]:
        """The outcomes as they come."""

    def stop(self) -> None:
        """Send no more items."""


class Tool(ABC):
    """Processes items from `_fetch_items` with workers from `create_worker`.

    Settings of `conf`: `items_per_second` (0: no limit), `concurrency`, `report_interval` in seconds, `retry_delay` in
    seconds.
    """

    DEFAULT_BEANSTALKD_WORKER_TUBE = "oio-process"
    DEFAULT_DISTRIBUTED_BEANSTALKD_WORKER_TUBE = "oio-process"
    DEFAULT_ITEM_PER_SECOND = 30
    DEFAULT_CONCURRENCY = 1
    DEFAULT_REPORT_INTERVAL = 3600
    DEFAULT_RETRY_DELAY = 3600

    def __init__(
        self,
        conf: Mapping[str, Any],
        beanstalkd_addr: str | None = None,
        logger: logging.Logger | None = None,
        watchdog: Any = None,
        **_kwargs: Any,
    ) -> None:
        self.conf = conf
        self.namespace = validate_service_conf(conf)
        self.logger = logger or get_logger(conf)
        self.watchdog = watchdog
        self.beanstalkd_addr = beanstalkd_addr
        self.items_per_second = float_value(conf.get("items_per_second"), self.DEFAULT_ITEM_PER_SECOND)
        self.concurrency = max(1, int_value(conf.get("concurrency"), self.DEFAULT_CONCURRENCY))
        self.report_interval = float_value(conf.get("report_interval"), self.DEFAULT_REPORT_INTERVAL)
        self.retry_delay = float_value(conf.get("retry_delay"), self.DEFAULT_RETRY_DELAY)
        self.success = True
        self.running = True
        self.items_processed = 0
        self.total_items_processed = 0
        self.errors = 0
        self.total_errors = 0
        self.total_expected_items: int | None = None
        self.start_time = 0.0
        self.last_report = 0.0
        self.beanstalkd_worker_tube = str(
            conf.get("beanstalkd_worker_tube") or self.DEFAULT_BEANSTALKD_WORKER_TUBE
        )
        self.distributed_worker_tube = str(
            conf.get("distributed_beanstalkd_worker_tube") or self.DEFAULT_DISTRIBUTED_BEANSTALKD_WORKER_TUBE
        )
        self.dispatcher: Dispatcher | None = None

    # -- to override

    @abstractmethod
    def create_worker(
        self, queue_workers: queue.Queue[Item], queue_reply: queue.Queue[Outcome]
    ) -> ToolWorker:
        """A worker between these queues."""

    @abstractmethod
    def _fetch_items(self) -> Iterator[Item]:
        """The items, one after the other."""

    @staticmethod
    @abstractmethod
    def string_from_item(item: Item) -> str:
        """An item as it is shown."""

    def _load_total_expected_items(self) -> None:
        """Set `total_expected_items` when the number is known beforehand; it is not, unless overridden."""
        self.total_expected_items = None

    def _get_report(self, status: str, end_time: float, counters: tuple[float, ...]) -> str:
        """One line about the last interval and the whole."""
        return self._report_line("items", status, end_time, counters)

    def task_event_from_item(self, item: Item) -> dict[str, Any]:
        """An item as another process gets it: JSON."""
        return {"event": f"storage.{type(self).__name__.lower()}", "items": [item]}

    def items_from_task_event(self, task_event: Mapping[str, Any]) -> list[Item]:
        """The items of an event; ValueError when it is none."""
        items = task_event.get("items")
        if not isinstance(items, list):
            raise ValueError(f"event without items: {str(task_event)[:200]}")
        return [tuple(item) if isinstance(item, list) else item for item in items]

    def res_event_from_task_res(self, task_res: Outcome) -> dict[str, Any]:
        """What came of an item as it is answered: JSON."""
        return {"item": task_res[0], "info": task_res[1], "error": task_res[2]}

    def tasks_res_from_res_event(self, res_event: Mapping[str, Any]) -> list[Outcome]:
        """What came of items, from an answer."""
        item = res_event["item"]
        return [(tuple(item) if isinstance(item, list) else item, res_event["info"], res_event["error"])]

    # -- running

    def prepare_local_dispatcher(self) -> None:
        """Let workers of this process do the work. With `beanstalkd_addr` the items come from its worker tube."""
        if self.beanstalkd_addr:
            self.dispatcher = ListeningDispatcher(self, self.beanstalkd_addr)
        else:
            self.dispatcher = LocalDispatcher(self)

    def prepare_distributed_dispatcher(self) -> None:
        """Let processes at other places do the work, which listen at beanstalkd services of the namespace.

        OioException when none of these has the worker tube.
        """
        self.dispatcher = DistributedDispatcher(self)

    def run(self) -> Iterator[Outcome]:
        """Dispatch all items: `(item, info, error)` of each as it is done. ValueError before a dispatcher is prepared.

        SIGINT and SIGTERM end it when it runs in the main thread: what was sent is still processed.
        """
        if self.dispatcher is None:
            raise ValueError("No dispatcher")
        return self._run(self.dispatcher)

    def _run(self, dispatcher: Dispatcher) -> Iterator[Outcome]:
        self.start_time = self.last_report = time.time()
        with self._ending_by_signals():
            self.log_report("START", force=True)
            for outcome in dispatcher.run():
                self.update_counters(outcome)
                self.log_report("RUN")
                yield outcome
            self.log_report("DONE", force=True)

    def is_success(self) -> bool:
        """Whether all items were dispatched and none failed. No item at all is a success, with a warning."""
        if not self.success:
            return False
        if self.total_items_processed == 0:
            self.logger.warning("No item to process")
        return self.total_errors == 0

    def exit_gracefully(self, signum: int | None = None, frame: Any = None) -> None:
        """Send no more items; what was sent is still processed."""
        self.logger.info("Stop sending and wait for the items that were sent")
        self.running = False
        if self.dispatcher is not None:
            self.dispatcher.stop()

    @contextmanager
    def _ending_by_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            signal.signal(number, self.exit_gracefully)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def retry_later(self, item: Item) -> None:
        """Remember that a worker could not process an item now; only a dispatcher that listens gives it back."""
        if isinstance(self.dispatcher, ListeningDispatcher):
            self.dispatcher.retry_later(item)

    # -- counting

    def update_counters(self, task_res: Outcome) -> None:
        """Count an outcome."""
        self.items_processed += 1
        if task_res[2] is not None:
            self.logger.error("ERROR when processing %s: %s", self.string_from_item(task_res[0]), task_res[2])
            self.errors += 1

    def log_report(self, status: str, force: bool = False) -> None:
        """Log a line when the interval is over, or with `force`."""
        now = time.time()
        if not force and now - self.last_report < self.report_interval:
            return
        self.total_items_processed += self.items_processed
        self.total_errors += self.errors
        since, all_of_it = now - self.last_report, now - self.start_time
        counters = (self.items_processed, self.errors, since, all_of_it)
        self.logger.info("%s", self._get_report(status, now, counters))
        self.items_processed = self.errors = 0
        self.last_report = now

    def _report_line(self, noun: str, status: str, _now: float, counters: tuple[float, ...]) -> str:
        items, errors, since, all_of_it = counters
        line = (
            f"{status} last_report={_date(self.last_report)} {since:.2f}s "
            f"{noun}={items} {items / (since or 1e-5):.2f}/s "
            f"errors={errors} {100 * errors / (items or 1):.2f}% "
            f"start_time={_date(self.start_time)} {all_of_it:.2f}s "
            f"total_{noun}={self.total_items_processed} {self.total_items_processed / (all_of_it or 1e-5):.2f}/s "
            f"total_errors={self.total_errors} {100 * self.total_errors / (self.total_items_processed or 1):.2f}%"
        )
        if self.total_expected_items is not None:
            share = 100 * self.total_items_processed / (self.total_expected_items or 1)
            line += f" progress={self.total_items_processed}/{self.total_expected_items} {share:.2f}%"
        return line


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds)).isoformat()


class ToolWorker(ABC):
    """Takes items from a queue, processes them, and puts their outcomes into another one, until it gets None."""

    def __init__(
        self, tool: Tool, queue_workers: queue.Queue[Item], queue_reply: queue.Queue[Outcome]
    ) -> None:
        self.tool = tool
        self.conf = tool.conf
        self.logger = tool.logger
        self.queue_workers = queue_workers
        self.queue_reply = queue_reply

    @abstractmethod
    def _process_item(self, item: Item) -> Any:
        """Process one item; what it returns or raises goes into the outcome."""

    def run(self) -> None:
        """Work until None comes."""
        while (item := self.queue_workers.get()) is not None:
            info, error = None, None
            try:
                info = self._process_item(item)
            except (OioException, ValueError, OSError) as failure:
                error = str(failure) or type(failure).__name__
                if isinstance(failure, RetryLater):
                    self.tool.retry_later(item)
                    error = f"to be tried again later: {error}"
            except Exception as failure:
                self.logger.exception("Worker failed at %s", self.tool.string_from_item(item))
                error = f"{type(failure).__name__}: {failure}"
            self.queue_reply.put((item, info, error))
