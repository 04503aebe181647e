"""A MariaDB server of its own for tests: private folder and socket, no network."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pymysql

LIMIT_S = 120.0


def is_installed() -> bool:
    return shutil.which("mariadbd") is not None or Path("/usr/sbin/mariadbd").exists()


class MariaDB:
    """Started by `start`, ended by `stop`; its folder is gone afterwards.

    `prefix` starts it elsewhere, `options` are further ones; without any it has no network.
    """

    def __init__(self, prefix: Sequence[str] = (), options: Sequence[str] = ()) -> None:
        self._prefix = list(prefix)
        self._options = list(options) or ["--skip-networking"]
        # Sockets have short names, so the folder lies right below /tmp.
        self._folder = Path(tempfile.mkdtemp(prefix="dyn-maria-", dir="/tmp"))
        self.socket = self._folder / "socket"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        data = self._folder / "data"
        log = (self._folder / "log").open("ab")
        if not data.exists():
            self._install(data, log)
        self._process = subprocess.Popen(
            [
                *self._prefix,
                "/usr/sbin/mariadbd",
                "--no-defaults",
                f"--datadir={data}",
                f"--socket={self.socket}",
                f"--pid-file={self._folder}/pid",
                "--user=root",
                *self._options,
                "--innodb-buffer-pool-size=64M",
                "--performance-schema=OFF",
            ],
            stdout=log,
            stderr=log,
        )
        end = time.monotonic() + LIMIT_S
        while True:
            assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
            try:
                self._connect().close()
                return
            except pymysql.Error:
                assert time.monotonic() < end, "MariaDB did not start"
                time.sleep(0.1)

    @staticmethod
    def _install(data: Path, log: IO[bytes]) -> None:
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={data}",
                "--user=root",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            stdout=log,
            stderr=log,
            timeout=LIMIT_S,
            check=True,
        )

    def run(self, *statements: str) -> None:
        """Run statements as its administrator."""
        with self._connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The answer to its administrator."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    @staticmethod
    def quoted(text: str) -> str:
        """What stands for a text between single quotes in a statement."""
        return pymysql.converters.escape_string(text)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it like a power cut; `start` begins again with what is on the disk."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(LIMIT_S)

    def _connect(self) -> Any:
        return pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True)

    def create(self, name: str) -> dict[str, Any]:
        """A new database; the parameters that lead to it."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{name}`")
        return {"socket": str(self.socket), "user": "root", "db": name}

    def drop(self, name: str) -> None:
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(LIMIT_S)
        shutil.rmtree(self._folder, ignore_errors=True)
