"""Every command has the options that its users know."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

COMMANDS = {
    "dynamo.client.dynamo": "-A --asynchronous -s --server -t --title -H --auth-request -W --write-request -d"
    " --work-dir -m --timeout -p --poll -x --kill -a --add-sequence -q --start-sequence"
    " -o --stop-sequence -e --delete-sequence -c --cert -k --key --json",
    "dynamo.client.inject": "-X -d -b -f -s -g -p -r -e -A -o -c -k",
    "dynamo.client.request": "-D -d -b -s -n -x -l -t -u -A -o -c -k",
    "dynamo.tools.exec_auth": "-x -t -u -D -L --json",
    "dynamo.tools.user_auth": "-u -n -m -r -g -Y -R -L --json",
    "dynamo.tools.dynamod": "--config",
    "dynamo.tools.server_conf": "-g -o",
}


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_has_its_options_and_completes_them(module: str) -> None:
    command = get_command(importlib.import_module(module).app)
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(COMMANDS[module].split()) - known == set()
    assert "--install-completion" in known


PROGRAMS = {
    "detox": "-p -c -m --test --json",
    "dealer": "-c -m --test --json",
    "set_quota": "-s -g -v -c -a -d",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_comes_along_explains_its_options(name: str) -> None:
    path = Path(importlib.import_module(f"dynamo.exec.{name}").__file__ or "")
    done = subprocess.run(
        [sys.executable, str(path), "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    found = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", done.stdout))
    assert set(PROGRAMS[name].split()) - found == set()
