"""A ZooKeeper server of Debian's package, as a process of the test."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

JAR = Path("/usr/share/java/zookeeper.jar")
START_TIMEOUT = 120.0


def is_installed() -> bool:
    """Whether it can be started here."""
    return JAR.exists() and shutil.which("java") is not None


class Server:
    """A server that can be killed and started again over the same data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        (folder / "zoo.cfg").write_text(
            f"tickTime=500\ndataDir={folder}/data\nclientPort={self.port}\nclientPortAddress=127.0.0.1\n"
            "admin.enableServer=false\n4lw.commands.whitelist=ruok\n"
        )

    @property
    def hosts(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        command = [
            "java",
            "-Xmx128m",
            "-cp",
            f"/etc/zookeeper/conf:{JAR}",
            main,
            str(self._folder / "zoo.cfg"),
        ]
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        end = time.monotonic() + START_TIMEOUT
        while not self._is_ok():
            assert self.process.poll() is None, (self._folder / "log").read_text()[-2000:]
            assert time.monotonic() < end, "ZooKeeper does not answer"
            time.sleep(0.2)

    def _is_ok(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as asked:
                asked.sendall(b"ruok")
                return asked.recv(4) == b"imok"
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(30)
            self.process = None

    def discard(self) -> None:
        """Kill it and delete its files."""
        self.kill()
        shutil.rmtree(self._folder)


@contextmanager
def zookeeper(folder: Path) -> Iterator[Server]:
    """A server that runs; killed afterwards."""
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
