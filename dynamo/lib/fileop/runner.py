"""Runs file operations in a server, round after round."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from dynamo.core.cluster.member import Member
from dynamo.core.components.impl.database import Database
from dynamo.core.master.lease import Held
from dynamo.core.serverconfig import FileOperationsConfig
from dynamo.dataformat import OperationalError
from dynamo.fileop.cycle import FileOperations
from dynamo.fileop.localdisk import LocalDisk

LOG = logging.getLogger(__name__)

RIGHT = "fileop"
"""The lease of the one server that does it."""


class FileOperationsRunner:
    """Rounds of file operations, while this server has the right to."""

    def __init__(self, config: FileOperationsConfig, database: Database, member: Member) -> None:
        self._round = config.round
        self._member = member
        self._backend = LocalDisk(config.roots, Path(config.spool))
        self._operations = FileOperations(database, self._backend, member.inventory)

    async def serve(self) -> None:
        """Work until cancelled; a database that is away is waited for."""
        held: Held | None = None
        try:
            while True:
                try:
                    held = None if self._member.is_draining else self._member.keep_right(RIGHT, held)
                    if held is not None:
                        async with self._member.image:
                            self._operations.run()
                except OperationalError as error:
                    LOG.warning("File operations wait: %s", error)
                await asyncio.sleep(self._round)
        finally:
            self._backend.close()
