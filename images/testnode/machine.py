"""Start a test node, look at it, cut its power, switch it off; its disks stay."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from images.testnode.arguments import BUS, BY_UEFI, OVMF_VARS, TestNode, card, command
from images.testnode.firmware_keys import enrol

START_LIMIT_S = 60.0
DOWN_LIMIT_S = 180.0
"""Units, file systems and tenants' machines end in order; an emulated node needs a while."""
MONITOR_LIMIT_S = 60.0
POLL_S = 0.2


class TestNodeError(Exception):
    """The node cannot be started or reached; the message says why and what to do."""

    __test__ = False


class Machine:
    """One test node, found again by its folder."""

    def __init__(self, node: TestNode) -> None:
        self.node = node
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the running QEMU; None when the power is off."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else None
        return running(self.node.folder)

    def up(self) -> None:
        """Switch on.  Raises TestNodeError."""
        node = self.node
        if self.pid is not None:
            raise TestNodeError(f"{node.name} is on already: `zos testnode down {node.name}` first")
        node.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if node.boot in BY_UEFI and not (node.folder / "vars.fd").exists():
            if not OVMF_VARS.exists():
                raise TestNodeError(f"{OVMF_VARS} is missing: install the Debian package ovmf")
            if node.trusted:
                enrol(OVMF_VARS, node.trusted, node.folder / "vars.fd")
            else:
                shutil.copyfile(OVMF_VARS, node.folder / "vars.fd")
        for path in (node.console_socket, node.monitor):
            path.unlink(missing_ok=True)
        with (node.folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                command(node),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (node.folder / "pid").write_text(f"{self._process.pid}\n")
        deadline = time.monotonic() + START_LIMIT_S
        while not answers(node.monitor):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.power_cut()
                said = (node.folder / "qemu.log").read_text(errors="replace").strip().splitlines()[-3:]
                raise TestNodeError(f"QEMU did not start: {' | '.join(said)}")
            time.sleep(POLL_S)

    def power_cut(self) -> None:
        """Take the power away, without warning; safe to repeat."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._gone(START_LIMIT_S)

    def down(self, limit: float = DOWN_LIMIT_S) -> None:
        """Press the power button and wait; when that takes too long, cut the power."""
        if self.pid is None:
            return
        with contextlib.suppress(OSError, ValueError):
            monitor_command(self.node.monitor, "system_powerdown")
        if not self._gone(limit):
            self.power_cut()

    def console(self) -> str:
        """Everything that the console showed since the node was made."""
        try:
            return self.node.console_log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def wait_for(self, text: str, limit: float, start: int = 0) -> int:
        """Wait until the console shows `text` behind position `start`; returns the position behind it.

        Raises TestNodeError with the last lines when it does not, or when the machine went off.
        """
        return self.wait_until(lambda shown: shown.find(text), text, limit, start) + len(text)

    def wait_until(self, find: Callable[[str], int], what: str, limit: float, start: int = 0) -> int:
        """As `wait_for`, with a search of one's own."""
        deadline = time.monotonic() + limit
        while True:
            on = self.pid is not None
            shown = self.console()
            found = find(shown[start:])
            if found >= 0:
                return start + found
            if not on or time.monotonic() > deadline:
                last = "\n".join(shown[start:].splitlines()[-25:])
                state = f"within {limit:.0f} s" if on else "before the machine went off"
                raise TestNodeError(f"{self.node.name}: the console did not show {what!r} {state}:\n{last}")
            time.sleep(POLL_S)

    def wait_off(self, limit: float) -> None:
        """Wait until the machine has switched itself off, or wanted to restart.  Raises TestNodeError."""
        if not self._gone(limit):
            last = "\n".join(self.console().splitlines()[-25:])
            raise TestNodeError(f"{self.node.name} is still on after {limit:.0f} s:\n{last}")

    def cable(self, number: int, *, plugged: bool) -> None:
        """Plug the cable of a card in or out."""
        self._tell("set_link", name=card(number), up=plugged)

    def plug_router(self, number: int) -> None:
        """Connect the switch of a card of kind `later` with a router that gives out addresses."""
        self._tell("netdev_add", type="user", id=f"router{number}")
        self._tell("netdev_add", type="hubport", id=f"port{number}", hubid=number, netdev=f"router{number}")

    def plug_disk(self, disk: Path) -> None:
        """Give the running machine a further disk."""
        name = disk.stem[:20]
        self._tell(
            "blockdev-add",
            driver="raw",
            **{"node-name": name, "file": {"driver": "file", "filename": str(disk)}},
        )
        self._tell(
            "device_add", driver="scsi-hd", bus=f"{BUS}.0", drive=name, serial=name, id=f"plugged-{name}"
        )

    def unplug_disk(self, disk: Path) -> None:
        """Take a disk that `plug_disk` gave out again; nobody asks the machine.  Raises TestNodeError."""
        name = disk.stem[:20]
        self._tell("device_del", id=f"plugged-{name}")
        deadline = time.monotonic() + MONITOR_LIMIT_S
        while True:  # QEMU lets go of the file some time after the device
            try:
                self._tell("blockdev-del", **{"node-name": name})
            except TestNodeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)
            else:
                return

    def picture(self, file: Path) -> Path:
        """Write what the screen shows into a file, `*.png` or `*.ppm`."""
        self._tell("screendump", filename=str(file), format=file.suffix[1:])
        return file

    def press(self, key: str) -> None:
        """A key of the keyboard, by QEMU's name of it."""
        self._tell("send-key", keys=[{"type": "qcode", "data": key}])

    def _tell(self, order: str, **arguments: Any) -> None:
        try:
            monitor_command(self.node.monitor, order, arguments)
        except (OSError, ValueError) as problem:
            raise TestNodeError(f"{self.node.name} does not take {order}: {problem}") from problem

    def _gone(self, limit: float) -> bool:
        deadline = time.monotonic() + limit
        while self.pid is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        (self.node.folder / "pid").unlink(missing_ok=True)
        return True


def running(folder: Path) -> int | None:
    """Pid of the QEMU that was started for this folder, if it still runs."""
    try:
        pid = int((folder / "pid").read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    if str(folder / "monitor.sock").encode() not in words:
        return None
    return pid


def answers(path: Path) -> bool:
    """Whether QEMU has made its machine and listens."""
    try:
        monitor_command(path, "query-status")
    except (OSError, ValueError):
        return False
    return True


def monitor_command(path: Path, name: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """One command of QEMU's machine protocol; returns its answer.  Raises OSError, ValueError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(MONITOR_LIMIT_S)
        link.connect(str(path))
        with link.makefile("rwb") as stream:
            stream.readline()
            answer: dict[str, Any] = {}
            for command_name, given in (("qmp_capabilities", {}), (name, arguments or {})):
                stream.write(json.dumps({"execute": command_name, "arguments": given}).encode() + b"\n")
                stream.flush()
                while True:
                    answer = json.loads(stream.readline())
                    if "event" not in answer:
                        break
                if "error" in answer:
                    raise ValueError(f"{name}: {answer['error'].get('desc', answer['error'])}")
            return answer.get("return")


def make_disk(path: Path, size: int) -> Path:
    """A sparse disk; an existing one is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with path.open("xb") as file:
            file.truncate(size)
    return path
