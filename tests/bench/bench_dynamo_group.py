"""A fleet whose shared database is a group: seconds from the loss of what leads until a write is acknowledged.

Gate (B1, B2): 15 s with the lease that servers have by default.
"""

from __future__ import annotations

import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from dynamo.core.serverconfig import LeaseConfig

from tests.dynamo.cluster import machines
from tests.dynamo.cluster.machines import Group, Machine, group_status, leader
from tests.dynamo.single_server import wait_for

ROUNDS = 3
GATE_S = 15.0
PROBE_S = 0.1


def _settled(group: Group) -> str:
    rows = group_status(group.machines[0])
    following = sum(1 for row in rows if row["runs"])
    return next((row["name"] for row in rows if row["leads"]), "") if following == 2 else ""


def _roles(group: Group) -> tuple[Machine, list[Machine]]:
    first = wait_for(lambda: _settled(group), "A leader with two followers")
    leading = next(machine for machine in group.machines if machine.name == first)
    return leading, [machine for machine in group.machines if machine is not leading]


def _until_written(group: Group, asked: Machine, name: str) -> float:
    begin = time.perf_counter()
    while not group.writes(asked, name):
        if time.perf_counter() - begin > 10 * GATE_S:
            raise TimeoutError(f"{name} was not written")
        time.sleep(PROBE_S)
    return time.perf_counter() - begin


def _measure(group: Group, lease: int, usual: float) -> None:
    for what in ("machine", "MariaDB", "server"):
        seconds = []
        for number in range(ROUNDS):
            lost, others = _roles(group)
            if what != "server":
                lost.database.kill()
            if what != "MariaDB":
                lost.running.stop(signal.SIGKILL)
            seconds.append(_until_written(group, others[0], f"{what}{lease}-{number}"))
            if what != "server":
                lost.start_database()
            if what != "MariaDB":
                lost.running.start()
        slowest = max(seconds)
        verdict = "kept" if slowest <= GATE_S else "MISSED"
        print(
            f"{f'loss of the leading {what}, until a write is acknowledged':58}"
            f"{statistics.median(seconds):7.1f} s  at most {slowest:.1f}  lease {lease} s  gate {GATE_S:g}: {verdict}"
            f"  {statistics.median(seconds) / usual:.0f} of a write"
        )


def main() -> int:
    for lease in (4, LeaseConfig().ttl):
        machines.LEASE_S = lease
        with tempfile.TemporaryDirectory(prefix="bench-group-") as name:
            group = Group(Path(name))
            try:
                group.start()
                wait_for(lambda group=group: leader(group.machines[0]), "A leader")  # type: ignore[misc]
                usual = statistics.median(
                    _until_written(group, group.machines[0], f"Usual{number}") for number in range(5)
                )
                print(f"{'a write of a healthy group, with its client':58}{usual:7.1f} s  lease {lease} s")
                _measure(group, lease, usual)
            finally:
                group.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
