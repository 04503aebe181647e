"""`python -m gridtypes`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gridtypes.__main__ import main

DISK = """{"twin_id":5,"metadata":"m","description":"d",
  "workloads":[{"name":"disk1","type":"zmount","data":{"size":10}}],
  "signature_requirement":{"requests":[{"twin_id":5,"weight":1}],"weight_required":1}}"""


def test_prints_the_hash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "disk.json"
    file.write_text(DISK)
    assert main(["hash", str(file)]) == 0
    assert capsys.readouterr().out == "88555cd36acb8ccf82acbccf99f7e7ff\n"
    assert main(["check", str(file)]) == 0


def test_says_on_one_line_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "disk.json"
    file.write_text(DISK.replace("10", "0"))
    assert main(["check", str(file)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"{file}: invalid size\n"
    assert main(["check", str(tmp_path / "missing")]) == 1


def test_explains_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign", "x"]) == 2
    assert capsys.readouterr().err.startswith("usage: ")


def test_reads_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gridtypes", "hash", "-"],
        input=DISK,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "88555cd36acb8ccf82acbccf99f7e7ff\n"
