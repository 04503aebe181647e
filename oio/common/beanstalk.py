"""A client of beanstalkd, the queue of jobs that tools of OpenIO SDS share work over.

Its protocol is lines of text, `put <priority> <delay> <time to run> <size>` followed by the job's bytes and so on.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from typing import BinaryIO, Final

from oio.common.exceptions import OioException, OioNetworkException, OioProtocolError, OioTimeout

PRIORITY: Final = 1 << 31
TIME_TO_RUN: Final = 300
"""Seconds after which a job that was reserved and not deleted is given to another one."""
MAX_JOB: Final = 65535
"""Largest job that a beanstalkd with default settings takes, in bytes."""
MAX_LINE: Final = 4096
TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was reserved."""

    id: int
    data: bytes


class Beanstalk:
    """A connection to the server at `host:port` (also `beanstalk://host:port`). One act at a time over all threads.

    Raises OioNetworkException when the server cannot be reached, OioException for an answer that says no.
    """

    def __init__(self, address: str, timeout: float = TIMEOUT) -> None:
        self.address = address.removeprefix("beanstalk://")
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"beanstalkd address {address!r}: host:port is expected")
        self._where = (host.strip("[]"), int(port))
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Beanstalk:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; jobs that were reserved are given to others."""
        with self._lock:
            self._drop()

    def use(self, tube: str) -> None:
        """Put jobs into this tube from now on."""
        self._ask(f"use {_name(tube)}", "USING")

    def watch(self, tube: str) -> None:
        """Reserve jobs of this tube only."""
        self._ask(f"watch {_name(tube)}", "WATCHING")
        if tube != "default":
            self._ask("ignore default", "WATCHING", "NOT_IGNORED")

    def put(self, data: bytes, delay: float = 0.0, time_to_run: int = TIME_TO_RUN) -> int:
        """Put a job; its number. ValueError when it is too large."""
        if len(data) > MAX_JOB:
            raise ValueError(f"job of {len(data)} bytes: at most {MAX_JOB} are possible")
        line = f"put {PRIORITY} {int(delay)} {time_to_run} {len(data)}"
        return int(self._ask(line, "INSERTED", body=data)[1])

    def reserve(self, seconds: float) -> Job | None:
        """A job; None when there was none for so long."""
        words, data = self._ask_data(f"reserve-with-timeout {int(seconds)}", "RESERVED", seconds)
        return Job(int(words[1]), data) if words[0] == "RESERVED" else None

    def delete(self, job: Job) -> None:
        """Delete a job that was done."""
        self._ask(f"delete {job.id}", "DELETED", "NOT_FOUND")

    def release(self, job: Job, delay: float = 0.0) -> None:
        """Give a job back, for others after `delay` seconds."""
        self._ask(f"release {job.id} {PRIORITY} {int(delay)}", "RELEASED", "NOT_FOUND")

    def bury(self, job: Job) -> None:
        """Put a job aside that nobody can do."""
        self._ask(f"bury {job.id} {PRIORITY}", "BURIED", "NOT_FOUND")

    def tubes(self) -> list[str]:
        """Names of the tubes that there are."""
        _, data = self._ask_data("list-tubes", "OK", 0.0)
        lines = data.decode().splitlines()
        return [line[2:] for line in lines if line.startswith("- ")]

    # -- the wire

    def _ask(self, line: str, *accepted: str, body: bytes | None = None) -> list[str]:
        with self._lock:
            return self._exchange(line, accepted, body, 0.0)

    def _ask_data(self, line: str, with_data: str, seconds: float) -> tuple[list[str], bytes]:
        with self._lock:
            words = self._exchange(line, (with_data, "TIMED_OUT", "DEADLINE_SOON"), None, seconds)
            if words[0] != with_data:
                return words, b""
            size = int(words[-1])
            data = self._read(size + 2)
            return words, data[:size]

    def _exchange(
        self, line: str, accepted: tuple[str, ...], body: bytes | None, seconds: float
    ) -> list[str]:
        opened = self._connected()
        opened.settimeout(self._timeout + seconds)
        data = line.encode() + b"\r\n" + (b"" if body is None else body + b"\r\n")
        try:
            opened.sendall(data)
        except OSError as error:
            self._drop()
            raise OioNetworkException(f"host={self.address}", str(error)) from error
        answer = self._read(None).decode("ascii", "replace").split()
        if not answer or answer[0] not in accepted:
            raise OioException(
                f"beanstalkd at {self.address} answers {' '.join(answer)!r} to {line.split()[0]!r}"
            )
        return answer

    def _read(self, size: int | None) -> bytes:
        """So many bytes, or a line."""
        if self._file is None:
            raise OioProtocolError(f"host={self.address}", "not connected")
        try:
            data = self._file.readline(MAX_LINE) if size is None else self._file.read(size)
        except TimeoutError as error:
            self._drop()
            raise OioTimeout(f"host={self.address}", "no answer in time") from error
        except OSError as error:
            self._drop()
            raise OioNetworkException(f"host={self.address}", str(error)) from error
        if (size is None and not data.endswith(b"\n")) or (size is not None and len(data) < size):
            self._drop()
            raise OioProtocolError(f"host={self.address}", "the connection was closed")
        return data

    def _connected(self) -> socket.socket:
        if self._socket is None:
            try:
                self._socket = socket.create_connection(self._where, self._timeout)
            except OSError as error:
                raise OioNetworkException(f"host={self.address}", str(error)) from error
            self._file = self._socket.makefile("rb")
        return self._socket

    def _drop(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._file = None


def _name(tube: str) -> str:
    if not 0 < len(tube) <= 200 or any(character.isspace() for character in tube) or tube.startswith("-"):
        raise ValueError(f"tube {tube!r}: up to 200 characters without blanks are possible")
    return tube
