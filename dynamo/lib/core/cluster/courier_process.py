"""The courier of a server, as the server sees it."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from dynamo.core.cluster.beside import start
from dynamo.core.cluster.board import as_json
from dynamo.core.cluster.courier import LAST_S
from dynamo.core.master.changelog import Batch

LOG = logging.getLogger(__name__)

LOOK_S = 1.0
MAX_BUFFER = 64 << 20
"""Most bytes that wait for the courier; what comes then is not handed over."""


class CourierProcess:
    """Started with the server, started again when it dies, and ended with it."""

    def __init__(self, log_folder: str | None) -> None:
        """`log_folder` gets `courier.log`; without one it logs to stderr."""
        self._log = None if log_folder is None else Path(log_folder) / "courier.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: asyncio.WriteTransport | None = None

    def send(self, batch: Batch, peers: Mapping[str, Mapping[str, Any]]) -> None:
        """Hand a batch over for the boards of peers; never waits.  It is dropped while there is no courier."""
        pipe = self._pipe
        if pipe is None or pipe.is_closing() or pipe.get_write_buffer_size() > MAX_BUFFER:
            LOG.warning(
                "Batch %d is not handed to the courier; others read it from the log", batch.version.sequence
            )
            return
        pipe.write(json.dumps({"batch": as_json(batch), "peers": peers}).encode() + b"\n")

    async def serve(self) -> None:
        """Keep it running until cancelled."""
        try:
            while True:
                if self._process is None or self._process.poll() is not None:
                    if self._process is not None:
                        LOG.error("The courier ended with %s and is started again", self._process.returncode)
                    self._process, stdin = start("dynamo.core.cluster.courier", self._log)
                    await self._connect(stdin)
                await asyncio.sleep(LOOK_S)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        """Let it deliver its last batches."""
        if self._process is None or self._pipe is None:
            return
        self._pipe.close()
        end = time.monotonic() + LAST_S + LOOK_S
        while self._process.poll() is None and time.monotonic() < end:
            await asyncio.sleep(0.02)
        self._process.kill()
        self._process.wait()

    async def _connect(self, stdin: IO[bytes]) -> None:
        if self._pipe is not None:
            self._pipe.close()
        self._pipe, _ = await asyncio.get_running_loop().connect_write_pipe(asyncio.BaseProtocol, stdin)
