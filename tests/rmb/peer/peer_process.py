"""`rmb-peer` as its users start it: a process with a configuration file and a key file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rmb.peer.world import Twin
from tests.shared import PROJECT


class PeerProcess:
    """A running `rmb-peer` of `twin`, which knows `others`."""

    def __init__(
        self, folder: Path, twin: Twin, *others: Twin, environment: dict[str, str] | None = None
    ) -> None:
        self.twin = twin
        self._folder = folder / str(twin.id)
        self._folder.mkdir(exist_ok=True)
        self._environment = environment or {}
        self.config = self._folder / "rmb-peer.toml"
        key_file = self._folder / "key"
        twin.identity.save(key_file)
        everybody = (twin, *others)
        self.config.write_text(
            f"""
            [redis]
            url = {json.dumps(twin.redis)}
            [identity]
            key_file = {json.dumps(str(key_file))}
            [listen]
            addresses = [{json.dumps(twin.address)}]
            [twins.addresses]
            {"".join(f'{one.id} = "{one.address}"' + chr(10) for one in everybody)}
            [twins.keys]
            {"".join(f'{one.id} = "{one.identity.public_key.hex()}"' + chr(10) for one in everybody)}
            """
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rmb.peer_cli", "--config", str(self.config)],
                cwd=PROJECT,
                stderr=log,
                env=os.environ | self._environment,
            )

    def signal(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=15)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextmanager
def peer_process(folder: Path, twin: Twin, *others: Twin) -> Iterator[PeerProcess]:
    """A started peer; whatever the test does with it, it is gone afterwards."""
    peer = PeerProcess(folder, twin, *others)
    peer.start()
    try:
        yield peer
    finally:
        peer.end()
