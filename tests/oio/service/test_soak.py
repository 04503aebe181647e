"""A hundred clients for ten minutes, or for `OIO_SOAK` seconds: no service uses more and more."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from oio.service.deployment import Deployment
from tests.oio.service.cluster import running
from tests.oio.service.soak import Clients, at_rest, settle

SECONDS = float(os.environ.get("OIO_SOAK", "600"))
CLIENTS = 100
MEMORY = 1.1


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_clients_leave_no_threads_descriptors_or_memory_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(Deployment(tmp_path / "directory", ttl=8.0, consciences=2)) as cluster:
        clients = Clients(cluster, CLIENTS)
        # A third of the time to fill pools and caches; what comes after must not use more.
        clients.until(time.monotonic() + SECONDS / 3)
        before = at_rest(cluster)
        clients.until(time.monotonic() + 2 * SECONDS / 3)
        after = settle(cluster, before, MEMORY)
    with capsys.disabled():
        print(f"\n{clients.done} requests of {CLIENTS} clients in {SECONDS:g} s, {clients.refused} refused")
        for name, used in after.items():
            was = before[name]
            print(
                f"{name:14} threads {was.threads} -> {used.threads}, descriptors {was.descriptors} -> "
                f"{used.descriptors}, memory {was.memory >> 10} -> {used.memory >> 10} KiB"
            )
    assert clients.done > CLIENTS
    assert clients.refused < clients.done / 100
