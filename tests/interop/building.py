"""Build and run the small programs below `clients`.

They are ours; the libraries that they use come from the public registries: fetched by version and hash, without
running anything of theirs, then built without a network.  What was built runs as nobody.  A missing tool-chain or
registry skips the test with the reason.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pytest

CLIENTS = Path(__file__).parent / "clients"
CACHE = Path(os.environ.get("ZOS_CACHE", "/var/cache/zos")) / "interop"
BUILD_S = 1500
LIFE_S = 240
IS_ROOT = os.geteuid() == 0
NOBODY = (
    "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
    "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", "--",
)  # fmt: skip
"""Run a command without any right, in a process namespace that ends with it."""
SOURCE = re.compile(r"^source = .*\n", re.MULTILINE)
CHECKSUM = re.compile(r"^checksum = ", re.MULTILINE)
OFFLINE = ("unshare", "--net", "--")


def folder_of(name: str) -> Path:
    """The client's sources in a folder in which its tool-chain may leave what it builds."""
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
    except PermissionError as problem:
        pytest.skip(f"{problem}: set ZOS_CACHE to a folder of your own")
    target = CACHE / name
    shutil.copytree(CLIENTS / name, target, dirs_exist_ok=True)
    return target


def confined(*command: str) -> tuple[str, ...]:
    """The command, to be run as nobody where we are root."""
    return (*NOBODY, *command) if IS_ROOT else command


def go(name: str) -> Path:
    """Build a Go client; its folder, with the program `interop`."""
    folder = folder_of(name)
    build(folder, "go", "mod", "download")
    build(folder, "go", "build", "-o", "interop", ".", offline=True)
    return folder


def node(name: str) -> Path:
    """Fetch a JavaScript client's packages; its folder, with the program `run.mjs`."""
    folder = folder_of(name)
    build(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    return folder


def rust(name: str) -> Path:
    """Build a Rust client; its folder, with the program `target/release/interop`."""
    folder = folder_of(name)
    lock_crates(folder)
    build(folder, "cargo", "fetch", "--quiet", "--locked")
    build(folder, "cargo", "build", "--release", "--quiet", "--locked", "--offline", offline=True)
    return folder


def lock_crates(folder: Path) -> None:
    """Write `Cargo.lock`: the versions and hashes of `crates.lock`, from whatever registry this cargo uses."""
    locked = (folder / "crates.lock").read_text()
    lock = folder / "Cargo.lock"
    if not (lock.exists() and SOURCE.sub("", lock.read_text()) == locked):
        lock.unlink(missing_ok=True)
        build(folder, "cargo", "generate-lockfile", "--quiet")
        source = SOURCE.search(lock.read_text())
        assert source is not None, "the lock file of cargo names no source"
        lock.write_text(CHECKSUM.sub(source.group() + r"\g<0>", locked))


def build(folder: Path, *command: str, offline: bool = False) -> None:
    """Run a step of a build; what cannot be had skips the test."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        (*(OFFLINE if offline and IS_ROOT else ()), *command),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"`{' '.join(command)}` failed: {done.stdout[-400:]}")


def live(
    logs: Path, folder: Path, command: Sequence[str], restart: Callable[[], None], *, as_nobody: bool = True
) -> dict[str, Any]:
    """Run a client until it is done, and do `restart` where it says so; the steps that it told."""
    log = (logs / "client.log").open("w+")
    process = subprocess.Popen(
        confined(*command) if as_nobody else command,
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
                restart()
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


def _steps(stream: IO[str]) -> Iterator[tuple[str, Any]]:
    for line in stream:
        said = json.loads(line)
        yield said["step"], said["value"]
