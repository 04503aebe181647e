"""Three servers on one machine: how soon a change is everywhere, and how soon a fleet goes on after a death."""

from __future__ import annotations

import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dynamo.core.components.persistency import InventoryStore
from dynamo.core.master.changelog import ChangeLog
from dynamo.core.master.database import open_master
from dynamo.core.master.lease import PRIMARY, Leases
from dynamo.core.serverconfig import MasterConfig

from tests.dynamo.cluster.test_fleet import Fleet
from tests.dynamo.mariadb import MariaDB
from tests.dynamo.single_server import LEASE_S, wait_for

WRITES = 10
POLL_S = 0.005
LIMIT_S = 120.0


def _until(condition: Callable[[], object]) -> float:
    begin = time.perf_counter()
    while not condition():
        if time.perf_counter() - begin > LIMIT_S:
            raise TimeoutError("what is measured did not happen")
        time.sleep(POLL_S)
    return time.perf_counter() - begin


def _measure(fleet: Fleet) -> None:
    config = json.loads(fleet.servers[0].config.read_text())
    master = open_master(MasterConfig(**config["manager"]["master"]))
    leases = Leases(master, "bench", 10)
    log = ChangeLog(master, leases)
    stores = [
        InventoryStore.get_instance(
            "sqlitestore:SQLiteInventoryStore", server.inventory_config["persistency"]["config"]
        )
        for server in fleet.servers
    ]
    reader = fleet.servers[0].script("print(1)\n", "reader.py")
    reading, writing, everywhere = [], [], []
    for number in range(WRITES):
        begin = time.perf_counter()
        fleet.servers[0].dynamo(reader)
        reading.append(time.perf_counter() - begin)
        before = log.last()
        begin = time.perf_counter()
        answer = fleet.servers[0].dynamo(
            "-W", "-A", "-t", "writer", "--json", f"{fleet.writer} Bench{number}"
        )
        if answer.returncode != 0:
            raise RuntimeError(answer.stderr)
        _until(lambda before=before: log.last() > before)
        writing.append(time.perf_counter() - begin)
        wanted = log.last()
        everywhere.append(
            _until(lambda wanted=wanted: all(store.version().sequence >= wanted for store in stores))
        )
    read, wrote, seen = (statistics.median(values) for values in (reading, writing, everywhere))
    print(f"{'program that reads, with its client':44}{read:10.3f} s")
    print(
        f"{'program that writes, until its batch is logged':44}{wrote:10.3f} s     {wrote / read:.2f} of reading"
    )
    print(f"{'logged batch, until all three stores have it':44}{seen:10.3f} s")
    primary = leases.holder(PRIMARY)
    dead = int(str(primary).removeprefix("dyn"))
    alive = next(number for number in range(3) if number != dead)
    begin = time.perf_counter()
    fleet.servers[dead].stop(signal.SIGKILL)
    fleet.write(alive, "AfterDeath")
    accepted = time.perf_counter() - begin
    _until(lambda: leases.holder(PRIMARY) not in (None, primary))
    changed = time.perf_counter() - begin
    print(
        f"{'death of the primary, until a write is through':44}{accepted:10.3f} s     {accepted / wrote:.2f} of a write"
    )
    print(f"{'death of the primary, until there is another':44}{changed:10.3f} s     lease {LEASE_S} s")
    for store in stores:
        store.close()
    master.close()


def main() -> int:
    database = MariaDB()
    try:
        database.start()
        with tempfile.TemporaryDirectory(prefix="bench-fleet-") as name:
            fleet = Fleet(Path(name), database)
            try:
                for server in fleet.servers:
                    server.start(wait=False)
                for server in fleet.servers:
                    wait_for(server.is_up, "Start of a server")
                wait_for(lambda: fleet.primary(0) is not None, "A primary")
                _measure(fleet)
            finally:
                for server in fleet.servers:
                    server.stop(signal.SIGKILL)
    finally:
        database.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
