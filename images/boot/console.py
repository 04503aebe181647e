"""The node's screen: drawn on the first virtual terminal, told in sentences on every other console.

It starts before everything else and only reads: stage files, the first process's socket, the kernel.  Keys 1 to 4
turn pages, nothing else does anything.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import struct
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from images.boot import given, stage_file
from images.boot.control import ControlError, ask
from images.boot.screen import Colour, Line, Stage, UnitRow, View, compose, report

ACTIVE = Path("/sys/class/tty/console/active")
STAGES = ("network", "storage", "identity")
EVERY_S = 1.0
LOG_LINES = 60
MOST_NAME = 60
ADDRESSES_OF = "zos"
JOURNAL = Path("/var/cache/zos/state/journal.db")
DOCTOR = Path("/run/zos/doctor.json")
DOCTOR_FRESH_S = 240.0
"""`zosd` looks every minute."""
SIOCGIFADDR = 0x8915
SIOCGIFNETMASK = 0x891B


def main() -> None:
    """Draw for ever."""
    names = ACTIVE.read_text().split() if ACTIVE.exists() else []
    screen = Screen("tty1") if "tty1" in names else None
    sentences = Sentences([name for name in names if name != "tty1"])
    facts = Facts()
    while True:
        view = facts.view()
        if screen is not None:
            screen.draw(view)
        sentences.tell(view)
        if screen is not None:
            screen.wait(EVERY_S)
        else:
            time.sleep(EVERY_S)


class Screen:
    """A virtual terminal; it is repainted only when something changed."""

    def __init__(self, name: str) -> None:
        self._descriptor = os.open(f"/dev/{name}", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._page = 1
        self._painted: list[Line] = []
        self._quiet()

    def _quiet(self) -> None:
        """No echo, no line discipline, no signals from keys."""
        state = termios.tcgetattr(self._descriptor)
        state[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
        termios.tcsetattr(self._descriptor, termios.TCSANOW, state)

    def draw(self, view: View) -> None:
        width, height = self._size()
        lines = compose(view, self._page, width, height)
        if lines == self._painted:
            return
        self._painted = lines
        body = "\r\n".join(f"{_start(line.colour)}{line.text}\x1b[0m\x1b[K" for line in lines)
        self._write(f"\x1b[?25l\x1b[H{body}\x1b[J")

    def wait(self, seconds: float) -> None:
        """Wait, or turn the page when a key says so."""
        ready, _, _ = select.select([self._descriptor], [], [], seconds)
        if ready:
            for key in os.read(self._descriptor, 64):
                if ord("1") <= key <= ord("4"):
                    self._page = key - ord("0")
                    self._painted = []

    def _size(self) -> tuple[int, int]:
        try:
            rows, columns = struct.unpack(
                "HHHH", fcntl.ioctl(self._descriptor, termios.TIOCGWINSZ, bytes(8))
            )[:2]
        except OSError:
            return 80, 25
        return max(40, columns or 80), max(10, rows or 25)

    def _write(self, text: str) -> None:
        data = text.encode()
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [], 1.0)


def _start(colour: Colour) -> str:
    return f"\x1b[{colour.value}m" if colour.value else ""


class Sentences:
    """Consoles without a screen: each new sentence once, and again when it comes back."""

    def __init__(self, names: list[str]) -> None:
        self._descriptors = [
            os.open(f"/dev/{name}", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            for name in names
        ]
        self._told: set[str] = set()

    def tell(self, view: View) -> None:
        lines = report(view)
        for line in lines:
            if line not in self._told:
                for descriptor in self._descriptors:
                    try:
                        os.write(descriptor, f"zos: {line}\r\n".encode())
                    except BlockingIOError:
                        continue
        self._told = set(lines)


class Facts:
    """Everything that is on the screen, read anew for each picture."""

    def __init__(self) -> None:
        self._kernel = os.uname().release
        self._version = _text(Path("/usr/lib/zos/version"))
        self._daemon: dict[str, Any] = {}

    def view(self) -> View:
        settings = given.settings()
        told = bool(stage_file.read("sources"))
        units = _units()
        self._read_daemon()
        nics = stage_file.read("nics")
        disks = stage_file.read("disks")
        identity = stage_file.read("identity")
        registered, twin = self._daemon.get("node", 0), self._daemon.get("twin", 0)
        reached = bool(registered)
        if not reached:
            registered, twin = ids(JOURNAL)
        return View(
            version=self._version,
            kernel=self._kernel,
            mode=settings.mode if told else "",
            mode_source=settings.mode_source if told else "",
            farm=settings.farm,
            farm_source=settings.farm_source,
            farm_name=str(self._daemon.get("farm_name", "")),
            node=registered,
            twin=twin,
            registration_error="" if reached else str(self._daemon.get("trouble", "")),
            identity=f"identity {identity['tag']}" if identity else "",
            cache=str(stage_file.read("cache").get("state", "")),
            stages=_stages(units, reached, settings.farm),
            addresses=_addresses(),
            disks=[(str(path), bool(taken), str(text)) for path, taken, text in disks.get("disks", [])],
            workloads=workloads(JOURNAL),
            memory_free=_memory(),
            problems=[
                *settings.problems,
                *stage_file.read("configure").get("problems", []),
                *slot_problems(),
                *doctor_problems(DOCTOR, time.time()),
            ],
            notes=[str(note) for note in stage_file.read("configure").get("notes", [])],
            image=image_text(stage_file.read("image"), stage_file.read("upgrade")),
            units=units,
            log=_log(),
            network=[str(line) for line in nics.get("lines", [])],
        )

    def _read_daemon(self) -> None:
        try:
            lines = ask({"do": "log", "unit": "zosd", "lines": 300}, timeout=5)["log"]
        except ControlError:
            return
        self._daemon = daemon_facts(lines, self._daemon)


def daemon_facts(lines: list[str], before: Mapping[str, Any]) -> dict[str, Any]:
    """What the daemon's log says of its registration: `node`, `twin`, or `trouble`."""
    found = dict(before)
    for line in lines:
        try:
            event = json.loads(line.partition(": ")[2])
        except ValueError:
            continue
        if not isinstance(event, dict):
            continue
        if event.get("event") == "registered":
            name = "".join(each for each in str(event.get("farm_name", "")) if each.isprintable())
            found = {
                "node": int(event.get("node", 0)),
                "twin": int(event.get("twin", 0)),
                "farm_name": name[:MOST_NAME],
            }
        elif str(event.get("event", "")).startswith("registration failed") and "node" not in found:
            found["trouble"] = f"registration: {event.get('why', 'unknown')}"
    return found


def image_text(image: Mapping[str, Any], upgrade: Mapping[str, Any]) -> str:
    """Which image runs, and why an offered one does not."""
    return "; ".join(str(each["text"]) for each in (image, upgrade) if each.get("text"))


def slot_problems() -> list[str]:
    """What the choice of the image slot has to say."""
    message = stage_file.read("slot").get("message")
    return [str(message)] if message else []


def doctor_problems(report: Path, now: float) -> list[str]:
    """What `zosd` has found wrong with this node, and what to do; nothing before its first look."""
    try:
        content = json.loads(report.read_text())
        age = now - float(content["time"])
        # Registration has a line of its own.
        found = [
            f"{one['subject']}: {one['text']}; {one['remedy']}"
            for one in content["findings"]
            if not one["ok"] and one["subject"] != "registration"
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    if age > DOCTOR_FRESH_S:
        found.append("daemon: zosd has not looked after itself for minutes: it hangs or is down")
    return ["".join(each for each in text if each.isprintable()) for text in found]


def workloads(journal: Path) -> int | None:
    """How many workloads the daemon keeps; None before it has a journal."""
    row = _ask_journal(journal, "SELECT count(*) FROM workload")
    return int(row) if row is not None else None


def ids(journal: Path) -> tuple[int, int]:
    """(node, twin) as the daemon knew them last; zeros before the first registration."""
    try:
        node, twin, _ = json.loads(
            _ask_journal(journal, "SELECT value FROM note WHERE name = 'node-ids'") or "null"
        )
    except (ValueError, TypeError):
        return 0, 0
    return int(node), int(twin)


def _ask_journal(journal: Path, question: str) -> Any:
    if not journal.exists():
        return None
    import sqlite3
    from contextlib import closing

    try:
        with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=1)) as link:
            row = link.execute(question).fetchone()
    except sqlite3.Error:
        return None
    return row[0] if row else None


def _units() -> list[UnitRow]:
    try:
        rows = ask({"do": "list"}, timeout=5)["units"]
    except ControlError:
        return []
    return [UnitRow(row["name"], row["state"], row["age"], row["restarts"], row["why"]) for row in rows]


def _log() -> list[str]:
    try:
        return [str(line) for line in ask({"do": "log", "lines": 8}, timeout=5)["log"]][-LOG_LINES:]
    except ControlError:
        return []


def _stages(units: list[UnitRow], reached: bool, farm: int) -> list[Stage]:
    now = time.monotonic()
    stages = []
    for name in STAGES:
        content = stage_file.read(f"stage-{name}")
        if content:
            stages.append(
                Stage(
                    name, content["state"], content["text"], content["error"], now - float(content["since"])
                )
            )
        else:
            stages.append(Stage(name, "waiting"))
    daemon = next((unit for unit in units if unit.name == "zosd"), None)
    if reached:
        stages.append(Stage("registration", "done"))
    elif daemon is not None and daemon.state == "running":
        text = "the chain is asked" if farm else "waiting for a farm id"
        stages.append(Stage("registration", "working", text, age=daemon.age))
    else:
        stages.append(Stage("registration", "waiting"))
    return stages


def _addresses() -> list[str]:
    """IPv4 address of the node's bridge, asked of the kernel."""
    import socket

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            request = struct.pack("256s", ADDRESSES_OF.encode())
            address = fcntl.ioctl(link, SIOCGIFADDR, request)[20:24]
            mask = fcntl.ioctl(link, SIOCGIFNETMASK, request)[20:24]
    except OSError:
        return []
    bits = int.from_bytes(mask).bit_count()
    return [f"{ADDRESSES_OF} {'.'.join(map(str, address))}/{bits}"]


def _memory() -> int:
    for line in _text(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
