"""The guardian of a server's MariaDB, as the server sees it."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
from pathlib import Path

from dynamo.core.cluster.beside import start
from dynamo.core.serverconfig import ServerConfig
from dynamo.dataformat import ConfigurationError

LOG = logging.getLogger(__name__)

LOOK_S = 1.0


class GuardianProcess:
    """Started with the server, started again when it dies, and ended with it."""

    def __init__(self, config: ServerConfig, name: str) -> None:
        """Raises ConfigurationError when the server has no MariaDB in the group."""
        self._replicas = config.manager.master.replicas or {}
        if name not in self._replicas:
            raise ConfigurationError(
                f"manager.master.replicas names {', '.join(self._replicas)}; this server is {name}"
            )
        self._orders = {
            "own": name,
            "replicas": self._replicas,
            "ttl": config.manager.lease.ttl,
            "conflicts": config.manager.conflicts,
        }
        self._log = None if config.logging.path is None else Path(config.logging.path) / "guardian.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def serve(self) -> None:
        """Keep it running until cancelled."""
        try:
            while True:
                if self._process is None or self._process.poll() is not None:
                    if self._process is not None:
                        LOG.error("The guardian ended with %s and is started again", self._process.returncode)
                    self._start()
                await asyncio.sleep(LOOK_S)
        finally:
            if self._process is not None:
                self._process.terminate()
                self._process.wait()

    def _start(self) -> None:
        self._process, stdin = start("dynamo.core.cluster.guardian", self._log)
        stdin.write(json.dumps(self._orders).encode() + b"\n")
        stdin.flush()
