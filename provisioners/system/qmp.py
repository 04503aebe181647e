"""QEMU's control connection: the few commands that a node needs, each with a time limit."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from qemu.qmp import QMPClient, QMPError, Runstate

COMMAND_LIMIT_S = 5.0
RETRY_S = 0.02


class QmpFailed(Exception):
    """QEMU cannot be reached, or refused a command."""


class GuestEnd(Enum):
    """Why a guest came to its end, as QEMU announced it."""

    POWER_OFF = "the guest switched itself off"
    REBOOT = "the guest restarted itself"
    PANIC = "the guest's kernel or first process failed"


class Qmp:
    """One connection.  QEMU serves one at a time: the next waits until this is closed."""

    def __init__(self, client: QMPClient) -> None:
        self._client = client
        self._ends: list[GuestEnd] = []
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, path: Path, *, timeout: float, alive: Callable[[], bool]) -> Qmp:
        """Connect as soon as QEMU listens.  Raises QmpFailed after `timeout` seconds, or once `alive` says no."""
        client = QMPClient(path.parent.name)
        try:
            async with asyncio.timeout(timeout):
                while (link := _connected(path)) is None:
                    if not alive():
                        raise QmpFailed("QEMU ended before it could be controlled")
                    await asyncio.sleep(RETRY_S)
                await client.connect(link)
        except TimeoutError as error:
            raise QmpFailed(f"QEMU did not answer on {path} within {timeout:.0f} s") from error
        except QMPError as error:
            raise QmpFailed(f"QEMU cannot be controlled: {error}") from error
        connection = cls(client)
        connection._reader = asyncio.create_task(connection._read_events(), name=f"qmp {path}")
        return connection

    @property
    def end(self) -> GuestEnd | None:
        """How the guest ended; a panic tells more than the shutdown that follows it."""
        if GuestEnd.PANIC in self._ends:
            return GuestEnd.PANIC
        return self._ends[-1] if self._ends else None

    async def status(self) -> str:
        """`running`, `paused` and so on."""
        answer = await self._execute("query-status")
        return str(answer["status"])

    async def pause(self) -> None:
        await self._execute("stop")

    async def resume(self) -> None:
        await self._execute("cont")

    async def press_power_button(self) -> None:
        """Ask the guest to switch itself off; one that does not listen goes on."""
        await self._execute("system_powerdown")

    async def quit(self) -> None:
        """End QEMU at once."""
        try:
            await self._execute("quit")
        except QmpFailed:
            pass  # it may be gone before it has answered

    async def wait_closed(self) -> None:
        """Wait until QEMU's end of the connection is gone and its last words are read; QEMU has ended already."""
        try:
            async with asyncio.timeout(COMMAND_LIMIT_S):
                while self._client.runstate is Runstate.RUNNING:
                    await self._client.runstate_changed()
        except TimeoutError:
            pass  # then there is nothing more to be read

    async def close(self) -> None:
        """Drop the connection; QEMU goes on."""
        try:
            async with asyncio.timeout(COMMAND_LIMIT_S):
                await self._client.disconnect()
        except (QMPError, OSError, EOFError, TimeoutError):
            pass  # it was broken already, which is how it looks when QEMU has ended
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        while not self._client.events.empty():
            self._note(await self._client.events.get())

    async def _execute(self, command: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(COMMAND_LIMIT_S):
                answer = await self._client.execute(command)
        except TimeoutError as error:
            raise QmpFailed(f"QEMU did not answer {command} within {COMMAND_LIMIT_S:.0f} s") from error
        except (QMPError, OSError, EOFError) as error:
            raise QmpFailed(f"QEMU refused {command}: {error}") from error
        return answer if isinstance(answer, dict) else {}

    async def _read_events(self) -> None:
        async for event in self._client.events:
            self._note(event)

    def _note(self, event: Any) -> None:
        if event["event"] == "GUEST_PANICKED":
            self._ends.append(GuestEnd.PANIC)
        elif event["event"] == "SHUTDOWN":
            end = ENDS.get(event["data"].get("reason"))
            if end is not None:
                self._ends.append(end)


ENDS = {
    "guest-shutdown": GuestEnd.POWER_OFF,
    "guest-reset": GuestEnd.REBOOT,
    "guest-panic": GuestEnd.PANIC,
}
"""The reasons in QEMU's event SHUTDOWN that come from the guest; the others (quit, a signal) come from us."""


def _connected(path: Path) -> socket.socket | None:
    """A connection to the socket, or None when nobody listens there yet."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    link.setblocking(False)
    try:
        link.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
        link.close()
        return None
    except BaseException:
        link.close()
        raise
    return link
