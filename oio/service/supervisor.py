"""Processes of a deployment: started apart from their starter, remembered by id and start time, ended by id."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import psutil

from oio.service.deployment import Deployment

START_TIMEOUT: Final = 60.0
"""Seconds that a service has to listen."""
STOP_TIMEOUT: Final = 10.0
MALLOC_ARENAS: Final = "2"
"""Heaps of the GNU C library in one service, unless its starter's environment says otherwise. It would make one for
each thread, and each keeps what it once needed."""


def running(deployment: Deployment, name: str) -> psutil.Process | None:
    """The process of a service, if it lives; another one under the same id is told apart by its start time."""
    try:
        pid, created = json.loads(deployment.process_file(name).read_text())
        process = psutil.Process(pid)
        alive = abs(process.create_time() - created) < 0.1 and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None
    return process if alive else None


def start(deployment: Deployment, name: str, program: str = "oio.service.process") -> None:
    """Start a service if it does not run; `program` is the module that serves it."""
    if running(deployment, name) is not None:
        return
    log = deployment.root / "run" / f"{name}.log"
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", program, "--root", str(deployment.root), "--name", name],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={
                "MALLOC_ARENA_MAX": MALLOC_ARENAS,
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
        )
    created = psutil.Process(child.pid).create_time()
    deployment.process_file(name).write_text(json.dumps([child.pid, created]))


def wait_listening(deployment: Deployment, name: str) -> str:
    """The address of a service that was started; RuntimeError with the end of its log when it does not come up."""
    end = time.monotonic() + START_TIMEOUT
    log = deployment.root / "run" / f"{name}.log"
    while time.monotonic() < end:
        process = running(deployment, name)
        if process is None:
            raise RuntimeError(f"{name} ended at once; see {log}: {_tail(log)}")
        if deployment.address_file(name).exists() and _listens(process):
            return deployment.address(name)
        time.sleep(0.05)
    raise RuntimeError(f"{name} does not listen after {START_TIMEOUT:g} s; see {log}: {_tail(log)}")


def stop(deployment: Deployment, names: list[str]) -> list[str]:
    """End services, first by SIGTERM, after a while by SIGKILL; the names of those that ran."""
    found = {name: process for name in names if (process := running(deployment, name)) is not None}
    for process in found.values():
        process.terminate()
    _, left = psutil.wait_procs(list(found.values()), timeout=STOP_TIMEOUT)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=STOP_TIMEOUT)
    for name in names:
        deployment.process_file(name).unlink(missing_ok=True)
    return sorted(found)


def _listens(process: psutil.Process) -> bool:
    try:
        return any(connection.status == psutil.CONN_LISTEN for connection in process.net_connections("tcp"))
    except psutil.Error:
        return False


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return " | ".join(lines[-3:]) or "it is empty"
