"""What servers tell each other at once, so that nobody has to look into the log all the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dynamo.core.cluster.board import MAX_COMMANDS, MODULE, Board
from dynamo.core.cluster.courier_process import CourierProcess
from dynamo.core.cluster.sources import LENDER_S, advertised, with_credentials
from dynamo.core.master.changelog import Batch
from dynamo.core.master.servers import ServerRow
from dynamo.core.serverconfig import Component


class News:
    """The own board, and the way to those of others."""

    def __init__(
        self,
        name: str,
        board: Mapping[str, Any] | None,
        courier: CourierProcess,
        credentials: Mapping[str, str],
    ) -> None:
        """`board` is the database of the own board; `credentials` are user and passwd at those of others."""
        self._name = name
        self._params = dict(board or {})
        self._board = None if board is None else Board(board)
        self._courier = courier
        self._credentials = dict(credentials)

    @property
    def has_board(self) -> bool:
        """Do others write here?"""
        return self._board is not None and self._board.is_open

    def open(self) -> None:
        """Open the own board, unless that was just tried."""
        if self._board is not None:
            self._board.open()

    def close(self) -> None:
        """Leave the own board."""
        if self._board is not None:
            self._board.close()

    def advertised(self) -> tuple[str, dict[str, Any]]:
        """Module and configuration of the own board, as other servers reach it."""
        if not self.has_board:
            return "", {}
        return advertised(Component(module=MODULE, config={"db_params": self._params}))

    def take(self) -> list[Batch]:
        """Whole batches that others have written here."""
        return [] if self._board is None else self._board.take()

    def tell(self, batch: Batch, servers: Iterable[ServerRow]) -> None:
        """Have a batch written on the boards of all others that run; nobody waits for that."""
        if len(batch.commands) > MAX_COMMANDS:
            return
        peers = {
            row.name: with_credentials(row.board_config, self._credentials)["db_params"]
            for row in servers
            if row.name != self._name
            and row.board_config
            and row.status.is_current
            and row.silent <= LENDER_S
        }
        if peers:
            self._courier.send(batch, peers)
