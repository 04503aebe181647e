"""Tools: rate, threads, errors, the end by a signal, work shared over real beanstalkd servers."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from oio.common.beanstalk import Beanstalk
from oio.common.exceptions import OioException
from oio.conscience.client import ConscienceClient
from tests.oio.common.doubling import Doubling
from tests.oio.service.cluster import eventually

CONF: dict[str, Any] = {"namespace": "NS", "proxyd_url": "127.0.0.1:1", "items_per_second": 0}


def local(count: int, **settings: Any) -> Doubling:
    tool = Doubling({**CONF, **settings}, count)
    tool.prepare_local_dispatcher()
    return tool


def test_every_item_comes_out_once_with_what_came_of_it() -> None:
    tool = local(20, concurrency=4, pause=0.01)
    found = {item[0]: (info, error) for item, info, error in tool.run()}
    assert found == {n: (2 * n, None) if n != 13 else (None, "13 brings bad luck") for n in range(20)}
    assert 1 < tool.busiest <= 4
    assert (tool.total_items_processed, tool.total_errors) == (20, 1)
    assert not tool.is_success()


def test_one_worker_does_one_thing_at_a_time() -> None:
    tool = local(5)
    assert [item[0] for item, _, _ in tool.run()] == list(range(5))
    assert tool.busiest == 1
    assert tool.is_success()


def test_the_rate_is_kept() -> None:
    begun = time.monotonic()
    assert len(list(local(11, items_per_second=20).run())) == 11
    # Ten intervals; a busy machine only makes it longer.
    assert time.monotonic() - begun >= 0.5


def test_nothing_to_do_is_a_success_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    tool = local(0)
    assert list(tool.run()) == []
    assert tool.is_success()
    assert "No item to process" in caplog.text


def test_items_that_cannot_be_fetched_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = local(3)

    def fetch() -> Iterator[Any]:
        yield (1,)
        raise OioException("the source is gone")

    monkeypatch.setattr(tool, "_fetch_items", fetch)
    assert [info for _, info, _ in tool.run()] == [2]
    assert not tool.is_success()


def test_a_caller_may_stop_listening() -> None:
    before = set(threading.enumerate())  # some may be of an earlier test, and about to end
    outcomes = local(100, concurrency=3).run()
    next(outcomes)
    assert set(threading.enumerate()) - before
    outcomes.close()  # type: ignore[attr-defined]  # it is a generator
    assert not set(threading.enumerate()) - before


def test_a_signal_ends_it_after_what_was_sent() -> None:
    command = [sys.executable, "-u", "-m", "tests.oio.common.doubling", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().splitlines()
        assert process.wait(60) == 0
    assert first == "0 0\n" or first == "1 2\n"
    word, processed, seen = rest[-1].split()
    assert word == "done"
    assert processed == seen == str(len(rest))
    assert int(processed) < 100000


# -- beanstalkd

needs_beanstalkd = pytest.mark.skipif(
    shutil.which("beanstalkd") is None, reason="needs Debian's package beanstalkd"
)


@contextmanager
def beanstalkd() -> Iterator[str]:
    """A server on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(["beanstalkd", "-l", "127.0.0.1", "-p", str(port)])
    try:
        address = f"127.0.0.1:{port}"
        eventually(lambda: answers(address))
        yield address
    finally:
        process.kill()
        process.wait()


def answers(address: str) -> bool:
    try:
        with Beanstalk(address) as connection:
            return bool(connection.tubes())
    except OioException:
        return False


@contextmanager
def listening(address: str, **settings: Any) -> Iterator[Doubling]:
    """A worker that takes items from a server."""
    tool = Doubling({**CONF, **settings}, beanstalkd_addr=address)
    tool.prepare_local_dispatcher()
    thread = threading.Thread(target=lambda: list(tool.run()))
    thread.start()
    try:
        yield tool
    finally:
        tool.exit_gracefully()
        thread.join(60)
        assert not thread.is_alive()


@needs_beanstalkd
def test_work_is_shared_over_two_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        addresses = [stack.enter_context(beanstalkd()) for _ in range(2)]
        services = [{"addr": address, "score": 10, "tags": {}} for address in (*addresses, "127.0.0.1:1")]
        monkeypatch.setattr(ConscienceClient, "all_services", lambda *_args, **_kwargs: services)
        sender = Doubling(CONF, 150)
        with pytest.raises(OioException, match="is a worker listening"):
            sender.prepare_distributed_dispatcher()
        workers = [stack.enter_context(listening(address, concurrency=2)) for address in addresses]
        for address in addresses:
            eventually(lambda address=address: has_worker(address))  # type: ignore[misc]  # bound now
        sender.prepare_distributed_dispatcher()
        found = {item[0]: error for item, _, error in sender.run()}
        assert found == {number: "13 brings bad luck" if number == 13 else None for number in range(150)}
        assert all(worker.seen for worker in workers)
        assert sorted(workers[0].seen + workers[1].seen) == list(range(150))


def has_worker(address: str) -> bool:
    with Beanstalk(address) as connection:
        return "oio-process" in connection.tubes()


@needs_beanstalkd
def test_an_item_that_comes_too_soon_is_tried_again_and_nonsense_is_put_aside() -> None:
    with beanstalkd() as address, listening(address, retry=True, retry_delay=1) as tool:
        with Beanstalk(f"beanstalk://{address}") as connection:
            connection.use("oio-process")
            connection.put(b"{nonsense")
            connection.put(b'{"items": [[14], [7]]}')
        eventually(lambda: sorted(tool.seen) == [7, 7, 14, 14])
        eventually(lambda: tool.total_items_processed + tool.items_processed == 4)


@needs_beanstalkd
def test_what_the_server_refuses_is_an_error() -> None:
    with beanstalkd() as address, Beanstalk(address) as connection:
        with pytest.raises(ValueError, match="at most"):
            connection.put(b"x" * 70000)
        with pytest.raises(ValueError, match="tube"):
            connection.use("a b")
        connection.watch("t")
        assert connection.reserve(0) is None
        connection.use("t")
        number = connection.put(b"job\r\nwith lines")
        job = connection.reserve(1)
        assert job is not None
        assert (job.id, job.data) == (number, b"job\r\nwith lines")
        connection.release(job)
        again = connection.reserve(1)
        assert again == job
        connection.bury(job)
        connection.delete(job)
        connection.delete(job)
    with pytest.raises(OioException):
        Beanstalk(address).tubes()
    with pytest.raises(ValueError, match="host:port"):
        Beanstalk("nonsense")
