"""Items handed to processes at other places, over beanstalkd.

The sender puts one job an item into the worker tube of each beanstalkd service in turn, and reads what came of them
from a reply tube of its own. A listener takes jobs, lets its threads process the items, answers, and deletes the job.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from oio.common.beanstalk import Beanstalk, Job
from oio.common.exceptions import OioException
from oio.common.local_dispatcher import SHORTEST_QUEUE
from oio.common.rate import Rate

if TYPE_CHECKING:
    from oio.common.tool import Item, Outcome, Tool

SILENCE: Final = 300.0
"""Seconds without any answer after which the work counts as failed."""
HIGH: Final = 64
LOW: Final = 32
"""A worker that has `HIGH` items unanswered gets no more until it is down to `LOW`."""
POLL: Final = 1.0


@dataclass
class _Worker:
    """A beanstalkd service with the worker tube."""

    connection: Beanstalk
    pending: int = 0
    full: bool = False

    def takes_more(self) -> bool:
        self.full = self.pending >= HIGH or (self.full and self.pending > LOW)
        return not self.full


class DistributedDispatcher:
    """Sends items to the workers of a namespace. OioException when there is none."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._waiting: dict[str, _Worker] = {}
        self._all_sent = threading.Event()
        self._number = 0
        self._workers = self._find_workers()
        reply_address = tool.conf.get("beanstalkd_reply_addr") or self._workers[0].connection.address
        self._reply_tube = f"{tool.distributed_worker_tube}.reply.{time.time_ns()}"
        self._reply = Beanstalk(str(reply_address))

    def stop(self) -> None:
        """Send no more items."""
        self._stop.set()

    def _find_workers(self) -> list[_Worker]:
        # The conscience's client needs what this module is part of.
        from oio.conscience.client import ConscienceClient

        tube, found = self.tool.distributed_worker_tube, []
        for service in ConscienceClient(self.tool.conf).all_services("beanstalkd"):
            if service.get("score", 0) <= 0:
                continue
            connection = Beanstalk(service["addr"])
            try:
                if tube in connection.tubes():
                    connection.use(tube)
                    found.append(_Worker(connection))
                    continue
            except OioException as error:
                self.tool.logger.warning("beanstalkd at %s is left out: %s", service["addr"], error)
            connection.close()
        if not found:
            raise OioException(f"no beanstalkd service has the tube {tube!r}: is a worker listening?")
        return found

    def run(self) -> Iterator[Outcome]:
        """The outcomes as they are answered."""
        self._reply.watch(self._reply_tube)
        sender = threading.Thread(target=self._send, daemon=True)
        sender.start()
        try:
            yield from self._answers()
        finally:
            self._stop.set()
            with self._changed:
                self._changed.notify_all()
            sender.join()
            for worker in self._workers:
                worker.connection.close()
            self._reply.close()

    def _answers(self) -> Iterator[Outcome]:
        last = time.monotonic()
        while not (self._all_sent.is_set() and not self._waiting):
            job = self._reply.reserve(POLL)
            if job is None:
                if self._waiting and time.monotonic() - last > SILENCE:
                    self.tool.logger.error(
                        "%d items are unanswered for %g s: given up", len(self._waiting), SILENCE
                    )
                    self.tool.success = False
                    return
                continue
            last = time.monotonic()
            self._reply.delete(job)
            yield from self._outcomes(job)

    def _outcomes(self, job: Job) -> Iterator[Outcome]:
        try:
            answer = json.loads(job.data)
            outcomes = self.tool.tasks_res_from_res_event(answer)
            name = str(answer["job"])
        except (ValueError, KeyError, TypeError) as error:
            self.tool.logger.warning("an answer that is none is passed over: %s", error)
            return
        with self._changed:
            worker = self._waiting.pop(name, None)
            if worker is None:
                # Answered twice: the first worker was too slow and another one had it as well.
                return
            worker.pending -= 1
            self._changed.notify_all()
        yield from outcomes

    def _send(self) -> None:
        rate = Rate(self.tool.items_per_second)
        try:
            self.tool._load_total_expected_items()
            for item in self.tool._fetch_items():
                if not rate.wait(self._stop) or not self._send_one(item):
                    break
        except Exception:
            self.tool.logger.exception("Items could not be sent")
            self.tool.success = False
        finally:
            self._all_sent.set()

    def _send_one(self, item: Item) -> bool:
        with self._changed:
            while not any(worker.takes_more() for worker in self._workers):
                if self._stop.is_set():
                    return False
                self._changed.wait(POLL)
            free = [worker for worker in self._workers if worker.takes_more()]
            self._number += 1
            name, worker = str(self._number), min(free, key=lambda one: one.pending)
            self._waiting[name] = worker
            worker.pending += 1
        event = self.tool.task_event_from_item(item)
        event["job"] = name
        event["beanstalkd_reply"] = {"addr": self._reply.address, "tube": self._reply_tube}
        worker.connection.put(json.dumps(event).encode())
        return True


@dataclass
class _Taken:
    """A job whose items are being processed."""

    job: Job
    event: dict[str, Any]
    left: int
    later: bool = False
    outcomes: list[Outcome] = field(default_factory=list)


class ListeningDispatcher:
    """Takes items from the worker tube at `address` until it is stopped."""

    def __init__(self, tool: Tool, address: str) -> None:
        self.tool = tool
        self._connection = Beanstalk(address)
        limit = 2 * tool.items_per_second or SHORTEST_QUEUE * tool.concurrency
        self._limit = max(1, int(limit))
        self.queue_workers: queue.Queue[Item] = queue.Queue()
        self.queue_reply: queue.Queue[Outcome] = queue.Queue()
        self._stop = threading.Event()
        self._taken: dict[str, list[_Taken]] = {}
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Take no more jobs."""
        self._stop.set()

    def retry_later(self, item: Item) -> None:
        """Give the job of this item back when its other items are done, unless somebody waits for its answer."""
        with self._lock:
            for taken in self._taken.get(self.tool.string_from_item(item), ()):
                taken.later = True

    def run(self) -> Iterator[Outcome]:
        """The outcomes as they come, until it is stopped and what was taken is done."""
        self._connection.watch(self.tool.beanstalkd_worker_tube)
        workers = [
            self.tool.create_worker(self.queue_workers, self.queue_reply)
            for _ in range(self.tool.concurrency)
        ]
        threads = [threading.Thread(target=worker.run, daemon=True) for worker in workers]
        for thread in threads:
            thread.start()
        rate = Rate(self.tool.items_per_second)
        try:
            while not self._stop.is_set() or self._taken:
                if not self._stop.is_set() and len(self._taken) < self._limit:
                    self._take(rate)
                yield from self._done()
        finally:
            for _ in threads:
                self.queue_workers.put(None)
            for thread in threads:
                thread.join()
            self._connection.close()

    def _take(self, rate: Rate) -> None:
        job = self._connection.reserve(0 if self._taken else POLL)
        if job is None:
            return
        try:
            event = json.loads(job.data)
            items = self.tool.items_from_task_event(event)
        except (ValueError, AttributeError, TypeError) as error:
            self.tool.logger.error("a job that cannot be read is put aside: %s", error)
            self._connection.bury(job)
            return
        if not items:
            self._connection.delete(job)
            return
        taken = _Taken(job, event, len(items))
        for item in items:
            rate.wait()
            with self._lock:
                self._taken.setdefault(self.tool.string_from_item(item), []).append(taken)
            self.queue_workers.put(item)

    def _done(self) -> Iterator[Outcome]:
        while True:
            try:
                outcome = self.queue_reply.get(timeout=0.05 if self._taken else 0.0001)
            except queue.Empty:
                return
            key = self.tool.string_from_item(outcome[0])
            with self._lock:
                taken = self._taken[key].pop(0)
                if not self._taken[key]:
                    del self._taken[key]
            taken.outcomes.append(outcome)
            taken.left -= 1
            if taken.left == 0:
                self._finish(taken)
            yield outcome

    def _finish(self, taken: _Taken) -> None:
        reply = taken.event.get("beanstalkd_reply")
        if reply:
            for outcome in taken.outcomes:
                self._answer(reply, taken.event.get("job"), outcome)
        elif taken.later:
            self._connection.release(taken.job, self.tool.retry_delay)
            return
        self._connection.delete(taken.job)

    def _answer(self, reply: Any, name: Any, outcome: Outcome) -> None:
        try:
            with Beanstalk(str(reply["addr"])) as connection:
                connection.use(str(reply["tube"]))
                answer = {**self.tool.res_event_from_task_res(outcome), "job": name}
                connection.put(json.dumps(answer).encode())
        except (OioException, KeyError, TypeError, ValueError) as error:
            self.tool.logger.error("an answer could not be given: %s", error)
