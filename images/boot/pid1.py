"""The first process of a node: starts units, gathers the dead, keeps their logs, ends everything in order.

Imports the standard library and its own neighbours alone.  It must never end: whatever goes wrong inside its loop is
shown on the console, and the loop goes on.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from images.boot.control import ControlServer
from images.boot.log_ring import LogRing
from images.boot.supervision import EndProbe, Probe, Signal, Start, Supervision
from images.boot.unit import Unit, load_units

UNITS = Path("/etc/zos/units")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
END_LIMIT_S = 60.0
"""After this time of shutting down, what still runs is killed and the machine goes."""
RB_RESTART = 0x01234567
RB_POWER_OFF = 0x4321FEDC
READ_BYTES = 65536
EVENT = struct.Struct("llHHi")
"""`struct input_event` of the kernel's user interface."""
KEY_POWER = 116
END_OTHERS_S = 5.0


class Init:
    """One supervisor; `console` takes its own sentences."""

    def __init__(self, units: Sequence[Unit], control: Path, console: int = 2) -> None:
        self.supervision = Supervision(units)
        self.rings: dict[str, LogRing] = {"init": LogRing("init")}
        self.how_to_end: int | None = None
        self._console = console
        self._units_by_pid: dict[int, str] = {}
        self._pids: dict[str, int] = {}
        self._probes: dict[int, str] = {}
        self._pipes: dict[int, tuple[str, str]] = {}
        self._poll = select.poll()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._wake_read, select.POLLIN)
        self._end_at = 0.0
        self._button: int | None = None
        self.control = ControlServer(control, self)
        self._poll.register(self.control.fileno(), select.POLLIN)

    def say(self, text: str) -> None:
        """One sentence for log and console."""
        line = self.rings["init"].add("+", text)
        with contextlib.suppress(OSError):
            os.write(self._console, f"{line}\r\n".encode())

    def take_signals(self) -> None:
        """SIGTERM and Ctrl-Alt-Del restart the machine, SIGUSR2 switches it off."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.begin_end(RB_RESTART))
        signal.signal(signal.SIGUSR2, lambda *_: self.begin_end(RB_POWER_OFF))

    def begin_end(self, how: int) -> None:
        """Begin the orderly end; `how` is the command for `reboot(2)`."""
        if self.how_to_end is None:
            self.how_to_end = how
            self._end_at = time.monotonic() + END_LIMIT_S
            self.supervision.end()

    @property
    def over(self) -> bool:
        if self.how_to_end is None:
            return False
        return self.supervision.ended or time.monotonic() > self._end_at

    def turn(self) -> None:
        """One round of the loop: gather the dead, give orders, wait for what comes next."""
        self._reap()
        now = time.monotonic()
        for order in self.supervision.step(now):
            match order:
                case Start(name):
                    self._start(name)
                case Probe(name):
                    self._probe(name)
                case EndProbe(name):
                    self._end_probe(name)
                case Signal(name, number):
                    self._signal(name, number)
        if self.over:
            return
        self._watch_button()
        now = time.monotonic()
        wait = max(0.0, min(self.supervision.next_time(now) - now, 60.0))
        for descriptor, _ in self._poll.poll(int(wait * 1000) + 1):
            if descriptor == self._wake_read:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, READ_BYTES)
            elif descriptor == self.control.fileno():
                self.control.serve_one()
            elif descriptor == self._button:
                if power_pressed(os.read(descriptor, READ_BYTES)):
                    self.begin_end(RB_POWER_OFF)
            else:
                self._read(descriptor)

    def close(self) -> None:
        """Let go of descriptors; for tests, the machine's own never gets here."""
        signal.set_wakeup_fd(-1)
        self.control.close()
        for descriptor in (*self._pipes, self._wake_read, self._wake_write):
            os.close(descriptor)

    # -- processes ------------------------------------------------------------------------------------------------

    def _watch_button(self) -> None:
        """The machine's power button ends everything in order; its driver comes while we run."""
        if self._button is not None:
            return
        for name in Path("/sys/class/input").glob("event*/device/name"):
            with contextlib.suppress(OSError):
                if name.read_text().strip() == "Power Button" and os.getpid() == 1:
                    device = f"/dev/input/{name.parent.parent.name}"
                    self._button = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                    self._poll.register(self._button, select.POLLIN)
                    return

    def _start(self, name: str) -> None:
        unit = self.supervision.units[name].unit
        ring = self.rings.setdefault(name, LogRing(name))
        ends: list[tuple[int, int]] = []
        outputs = None
        if unit.log == "ring":
            ends = [os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)]
            outputs = (ends[0][1], ends[1][1])
        elif unit.log == "none":
            outputs = None
        try:
            pid = self._spawn(unit.exec, unit, outputs, silent=unit.log == "none")
        except OSError as problem:
            why = f"{unit.exec[0]} cannot be started: {problem.strerror}"
            ring.add("-", why)
            self.say(f"{name}: {why}")
            self.supervision.not_started(name, why, time.monotonic())
            for read, write in ends:
                os.close(read)
                os.close(write)
            return
        for (read, write), mark in zip(ends, "+-", strict=False):
            os.close(write)
            os.set_blocking(read, False)
            self._pipes[read] = (name, mark)
            self._poll.register(read, select.POLLIN)
        self._units_by_pid[pid] = name
        self._pids[name] = pid
        self.supervision.started(name, time.monotonic())

    def _probe(self, name: str) -> None:
        unit = self.supervision.units[name].unit
        try:
            self._probes[self._spawn(unit.test, unit, None, silent=True)] = name
        except OSError as problem:
            self.rings[name].add("-", f"probe {unit.test[0]} cannot be started: {problem.strerror}")
            self.supervision.probed(name, False, time.monotonic())

    def _spawn(
        self, command: Sequence[str], unit: Unit, outputs: tuple[int, int] | None, *, silent: bool
    ) -> int:
        """Start a program in a session of its own.  Raises OSError."""
        environment = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **unit.env}
        program = next(_found(command[0]), None)
        if program is None:
            raise FileNotFoundError(2, "no such program")
        actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        ]
        if outputs is not None:
            actions += [(os.POSIX_SPAWN_DUP2, outputs[0], 1), (os.POSIX_SPAWN_DUP2, outputs[1], 2)]
        elif silent:
            actions += [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
        wrapped = command if unit.dir == "/" else ("env", "--chdir", unit.dir, *command)
        if unit.dir != "/":
            program = next(_found("env"), program)
        return os.posix_spawn(
            program,
            list(wrapped),
            environment,
            file_actions=actions,
            setsid=True,
            setsigdef=[signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGPIPE],
        )

    def _end_probe(self, name: str) -> None:
        for pid, each in self._probes.items():
            if each == name:
                _kill_group(pid, signal.SIGKILL)

    def _signal(self, name: str, number: int) -> None:
        pid = self._pids.get(name)
        if pid is not None:
            _kill_group(pid, number)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            now = time.monotonic()
            if (name := self._probes.pop(pid, None)) is not None:
                if name in self.supervision.units:
                    self.supervision.probed(name, code == 0, now)
            elif (name := self._units_by_pid.pop(pid, None)) is not None:
                del self._pids[name]
                _kill_group(pid, signal.SIGKILL)  # nothing of a unit outlives it
                self.supervision.exited(name, code, now)
                if code != 0 and self.how_to_end is None:
                    self.rings[name].add("-", f"ended with {code}")

    def _read(self, descriptor: int) -> None:
        name, mark = self._pipes[descriptor]
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.rings[name].feed(mark, data)
            return
        self._poll.unregister(descriptor)
        os.close(descriptor)
        del self._pipes[descriptor]
        if not any(each == name for each, _ in self._pipes.values()):
            self.rings[name].close()


def _found(program: str) -> Iterator[str]:
    if "/" in program:
        if os.access(program, os.X_OK):
            yield program
        return
    for folder in PATH.split(":"):
        path = f"{folder}/{program}"
        if os.access(path, os.X_OK):
            yield path


def power_pressed(events: bytes) -> bool:
    """Whether input events (24 bytes each, as evdev writes them) hold a press of the power key."""
    whole = len(events) // EVENT.size * EVENT.size
    return any(
        kind == 1 and key == KEY_POWER and value == 1
        for *_, kind, key, value in EVENT.iter_unpack(events[:whole])
    )


def end_processes() -> None:
    """End what outlives its unit on purpose: machines, tunnels, overlay."""
    for number, limit in ((signal.SIGTERM, END_OTHERS_S), (signal.SIGKILL, 1.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, number)
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            try:
                os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            time.sleep(0.05)


def _kill_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def leave(how: int) -> None:
    """Flush, unmount what can be, and hand the machine back to the firmware.  Does not return."""
    end_processes()
    os.sync()
    libc = ctypes.CDLL(None, use_errno=True)
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in reversed(points):
        if point.startswith(("/var/cache", "/run/zos", "/mnt")):
            libc.umount2(point.encode(), 2)
    os.sync()
    libc.reboot(ctypes.c_int(how - (1 << 32) if how >= 1 << 31 else how))


def main() -> None:
    """Be the first process."""
    os.environ["PATH"] = PATH
    units, problems = load_units(UNITS)
    init = Init(units, Path("/run/zos-init.sock"))
    init.take_signals()
    for problem in problems:
        init.say(problem)
    init.say(f"{len(units)} units")
    while not init.over:
        try:
            init.turn()
        except Exception:
            for line in traceback.format_exc().splitlines()[-6:]:
                init.say(line)
            time.sleep(1)
    init.say("all units have ended")
    leave(init.how_to_end or RB_RESTART)
    sys.exit(0)


if __name__ == "__main__":
    main()
