"""The first process's loop with real processes, as a child of the test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from images.boot.control import ControlError, ask

PATIENCE_S = 60.0

PROGRAM = """
import ctypes, sys, time
from pathlib import Path
from images.boot.pid1 import Init
from images.boot.unit import load_units
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # orphans come to us, as to a real first process
units, problems = load_units(Path(sys.argv[1]))
init = Init(units, Path(sys.argv[2]))
init.take_signals()
for problem in problems:
    init.say(problem)
while not init.over:
    init.turn()
print("over", flush=True)
"""


class Running:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder), str(self.socket)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def states(self) -> dict[str, str]:
        return {unit["name"]: unit["state"] for unit in ask({"do": "list"}, self.socket)["units"]}

    def log(self, name: str) -> list[str]:
        return [str(line) for line in ask({"do": "log", "unit": name}, self.socket)["log"]]

    def wait(self, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if until():
                    return
            except ControlError:
                assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, self.states()
            time.sleep(0.05)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def begin(**units: str) -> Running:
        for name, text in units.items():
            (tmp_path / f"{name}.toml").write_text(text)
        running.append(Running(tmp_path))
        return running[-1]

    yield begin
    for each in running:
        each.process.terminate()
        try:
            each.process.wait(30)
        except subprocess.TimeoutExpired:
            each.process.kill()
            each.process.wait(30)
        for stream in (each.process.stdout, each.process.stderr):
            assert stream is not None
            stream.close()


def test_units_start_in_order_keep_logs_and_end_in_order(
    begin: Callable[..., Running], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    script = tmp_path / "service.sh"
    script.write_text(
        f'echo $1 up; echo $1 >>{trace}; trap "echo end $1 >>{trace}; exit 0" TERM\nwhile :; do sleep 0.1; done\n'
    )
    init = begin(
        a=f'exec = "sh {script} a"\n',
        b=f'exec = "sh {script} b"\nafter = ["a", "once"]\n',
        once=f'exec = "sh -c \'echo once >>{trace}\'"\noneshot = true\nafter = ["a"]\n',
        broken="exec = 3\n",
        missing='exec = "/no/such/program"\n',
    )
    init.wait(lambda: init.states().get("b") == "running" and "[+] b: b up" in init.log("b"))
    assert init.states() == {"a": "running", "b": "running", "once": "success", "missing": "failure"}
    assert any("broken" in line for line in init.log("init"))
    init.wait(lambda: sorted(trace.read_text().split()) == ["a", "b", "once"])
    init.process.terminate()
    output, _ = init.process.communicate(timeout=PATIENCE_S)
    assert "over" in output
    assert trace.read_text().splitlines()[3:] == ["end b", "end a"]


def test_the_whole_group_ends_with_its_unit_and_orphans_are_gathered(
    begin: Callable[..., Running], tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    init = begin(a=f"exec = \"sh -c 'sleep 1000 & echo $! >{file}; sleep 1000'\"\n")
    init.wait(lambda: file.exists() and file.read_text().strip() != "")
    child = int(file.read_text())
    ask({"do": "stop", "unit": "a"}, init.socket)
    init.wait(lambda: init.states()["a"] == "stopped")
    init.wait(lambda: not Path(f"/proc/{child}").exists())


def test_a_probe_makes_ready_and_a_failing_oneshot_is_tried_again(
    begin: Callable[..., Running], tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    init = begin(
        probed=f'exec = "sleep 1000"\ntest = "test -e {flag}"\n',
        waits='exec = "sleep 1000"\nafter = ["probed", "once"]\n',
        once=f'exec = "test -e {flag}"\noneshot = true\n',
    )
    init.wait(lambda: init.states() == {"probed": "spawned", "waits": "blocked", "once": "error"})
    flag.touch()
    init.wait(lambda: init.states()["waits"] == "running")


def test_the_socket_is_for_root_alone_and_survives_rubbish(begin: Callable[..., Running]) -> None:
    init = begin(a='exec = "sleep 1000"\n')
    init.wait(lambda: init.states()["a"] == "running")
    assert os.stat(init.socket).st_mode & 0o777 == 0o600
    for request in ({"do": "nonsense"}, {"do": "stop", "unit": "nobody"}, {"do": "log", "unit": "nobody"}):
        with pytest.raises(ControlError):
            ask(request, init.socket)
    ask({"do": "restart", "unit": "a"}, init.socket)
    init.wait(lambda: init.states()["a"] == "running")
