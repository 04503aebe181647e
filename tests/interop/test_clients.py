"""Unmodified clients of other people against `tfchain-dev`: each lives the life of a twin over a restart of the chain.

The programs below `clients` are ours and small; the libraries that they use come from the public registries.  They are
built in a folder of their own; a missing tool-chain or registry skips the test with the reason.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.tfchain.devchain.process import ChainProcess

pytestmark = pytest.mark.timeout(1800)

CLIENTS = Path(__file__).parent / "clients"
BUILD_S = 1500
LIFE_S = 240
CACHE = Path(os.environ.get("ZOS_CACHE", "/var/cache/zos")) / "interop"


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainProcess]:
    process = ChainProcess(tmp_path)
    process.start()
    yield process
    process.stop()


def _folder(name: str) -> Path:
    """The client's sources in a folder in which its tool-chain may leave what it builds."""
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
    except PermissionError as problem:
        pytest.skip(f"{problem}: set ZOS_CACHE to a folder of your own")
    target = CACHE / name
    shutil.copytree(CLIENTS / name, target, dirs_exist_ok=True)
    return target


def _build(folder: Path, *command: str) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"`{' '.join(command)}` failed: {done.stdout[-400:]}")


def _steps(stream: IO[str]) -> Iterator[tuple[str, Any]]:
    for line in stream:
        said = json.loads(line)
        yield said["step"], said["value"]


def _live(chain: ChainProcess, folder: Path, *command: str) -> dict[str, Any]:
    """Run a client until it is done, killing and starting the chain where it says so."""
    log = (chain.folder / "client.log").open("w+")
    process = subprocess.Popen(
        [*command, chain.url],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    found: dict[str, Any] = {}
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        for step, value in _steps(process.stdout):
            found[step] = value
            if step == "restart":
                chain.kill()
                chain.start()
                process.stdin.write("go on\n")
                process.stdin.flush()
        status = process.wait(LIFE_S)
    finally:
        process.kill()
        process.wait()
        log.seek(0)
        said = log.read()[-3000:]
        log.close()
    assert status == 0, said
    return found


def _check(found: dict[str, Any], name: str) -> None:
    assert found == {
        "connected": 149,
        "twin": True,
        "twin id": 1,
        "contract": 1,
        "contract name": name,
        "module error": "ContractNotExists",
        "restart": None,
        "cancelled": True,
        "head": True,
    }


def test_py_substrate_interface(chain: ChainProcess) -> None:
    folder = CLIENTS / "py"
    _check(_live(chain, folder, sys.executable, "run.py"), "pyname")


@pytest.mark.toolchain
def test_polkadot_js(chain: ChainProcess) -> None:
    folder = _folder("js")
    _build(folder, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock")
    _check(_live(chain, folder, "node", "run.mjs"), "jsname")


@pytest.mark.toolchain
def test_go_substrate_rpc_client(chain: ChainProcess) -> None:
    folder = _folder("go")
    _build(folder, "go", "build", "-o", "interop", ".")
    _check(_live(chain, folder, "./interop"), "goname")


@pytest.mark.toolchain
def test_subxt(chain: ChainProcess) -> None:
    folder = _folder("rust")
    _build(folder, "cargo", "build", "--release", "--quiet")
    _check(_live(chain, folder, "target/release/interop"), "rustname")
