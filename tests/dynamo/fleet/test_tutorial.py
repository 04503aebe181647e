"""The tutorial does what it says, line by line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.dynamo.mariadb import is_installed

TUTORIAL = Path(__file__).parents[3] / "docs/dynamo/tutorial.md"
FOLDER = "/tmp/tutorial"
LIMIT_S = 900


@pytest.mark.timeout(LIMIT_S + 120)
@pytest.mark.skipif(not os.environ.get("DYNAMO_LONG"), reason="`make test-dynamo` runs it")
@pytest.mark.skipif(not is_installed(), reason="mariadb-server is not installed")
def test_every_line_of_the_tutorial_works(tmp_path: Path) -> None:
    blocks = re.findall(r"```(\w*)\n(.*?)```", TUTORIAL.read_text().partition("## By hand")[0], re.DOTALL)
    # Sockets have short names, and programs, which run as another user, read what lies here.
    with tempfile.TemporaryDirectory(prefix="dyn-tut-", dir="/tmp") as home:
        Path(home).chmod(0o755)
        work = Path(home) / "work"
        work.mkdir()
        lines = ["set -e", f"cd {work}"]
        for language, text in blocks:
            moved = text.replace(FOLDER, str(work))
            match language:
                case "sh":
                    lines.append(moved)
                case "python":
                    (work / "first.py").write_text(moved)
                case _:
                    (work / "policy.txt").write_text(moved)
        path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        options = {
            "env": {"HOME": home, "PATH": path, "LANG": "C.UTF-8"},
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
            "timeout": LIMIT_S,
        }
        try:
            done = subprocess.run(["sh", "-c", "\n".join(lines)], check=False, **options)  # type: ignore[call-overload]  # as above
        finally:
            if (Path(home) / "dynamo-fleet").exists():
                subprocess.run(["dynamo-fleet", "down"], check=False, **options)  # type: ignore[call-overload]  # as above
    assert done.returncode == 0, done.stdout
    for said in (
        "8 datasets",
        "Application status: authfailed.",
        "delete  /Run/3 (all): default `Dismiss`",
        "protect /Run/7 (all): line 1",
        "4 files will leave their sites.",
        "0 injected, 0 left out, 4 file operations",
    ):
        assert said in done.stdout, done.stdout
    assert re.search(r"Run/4:\ndata", done.stdout)
    assert "Run/3:" not in done.stdout
