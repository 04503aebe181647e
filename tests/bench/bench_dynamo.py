"""The fleet's inventory: load, memory, fork, statistics and Detox, each beside a floor measured in the same run.

Gates: 10⁶ block replicas load within 60 s and 1.5 GiB, fork and import take at most 50 ms, and a child that reads
everything copies at most 20 % of the image.  To read everything means every public attribute of every object but the
lists of files, which lie in the store.  `BENCH_DYNAMO_REPLICAS` sets another size.
"""

from __future__ import annotations

import gc
import os
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dynamo.core import executable
from dynamo.core.cluster.member import freeze_image
from dynamo.core.inventory import DynamoInventory
from dynamo.dataformat import (
    Block,
    BlockReplica,
    Dataset,
    DatasetReplica,
    Group,
    Partition,
    Site,
    SitePartition,
)
from dynamo.dataformat.repository import Repository
from dynamo.detox.cycle import Cycle
from dynamo.detox.image import private_image
from dynamo.detox.policy import DetoxPolicy
from dynamo.web.modules.inventory._stats import sizes

REPLICAS = int(os.environ.get("BENCH_DYNAMO_REPLICAS", "1000000"))
SITES = 50
BLOCKS_PER_DATASET = 20
COPIES = 3
FORKS = 20

POLICY = """
Partition Default
On site.name == S*
When site.occupancy > 0.5
Until site.occupancy < 0.3
Protect blockreplica.last_update newer_than @1900000
Dismiss
Order increasing dataset.last_update
Algo Static
"""


def _fill(path: Path, replicas: int) -> None:
    database = sqlite3.connect(path)
    datasets = max(1, replicas // COPIES // BLOCKS_PER_DATASET)
    blocks = datasets * BLOCKS_PER_DATASET
    quota = blocks * COPIES * 10**9 // SITES
    database.executemany(
        "INSERT INTO sites VALUES (?, ?, '', 'disk', '', 'ready', NULL)",
        [(n, f"S{n}") for n in range(1, SITES + 1)],
    )
    database.execute("INSERT INTO `groups` VALUES (1, 'g', 'Block')")
    database.executemany("INSERT INTO quotas VALUES (?, 1, 0, ?)", [(n, quota) for n in range(1, SITES + 1)])
    database.executemany(
        "INSERT INTO datasets VALUES (?, ?, 'VALID', 'PRODUCTION', 0, ?, 1)",
        ((n, f"/Primary{n % 977}/Run-{n}/AOD", n) for n in range(1, datasets + 1)),
    )
    database.executemany(
        "INSERT INTO blocks VALUES (?, ?, ?, 1000000000, 10, 0, 0)",
        ((n, (n - 1) // BLOCKS_PER_DATASET + 1, f"block-{n}") for n in range(1, blocks + 1)),
    )
    database.executemany(
        "INSERT INTO dataset_replicas VALUES (?, ?, 0, NULL)",
        ((n, (n + copy) % SITES + 1) for n in range(1, datasets + 1) for copy in range(COPIES)),
    )
    database.executemany(
        "INSERT INTO block_replicas VALUES (?, ?, 1, 0, ?, 1)",
        (
            (n, ((n - 1) // BLOCKS_PER_DATASET + 1 + copy) % SITES + 1, n % 2000000)
            for n in range(1, blocks + 1)
            for copy in range(COPIES)
        ),
    )
    database.commit()
    database.close()


def _open(folder: Path) -> DynamoInventory:
    return DynamoInventory(
        {
            "persistency": {
                "module": "sqlitestore:SQLiteInventoryStore",
                "config": {"path": str(folder / "store.db")},
            }
        }
    )


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmRSS")


def _private() -> int:
    return sum(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/smaps_rollup").read_text().splitlines()
        if line.startswith("Private_")
    )


def _attributes(kind: type) -> list[str]:
    return [
        name
        for name in dir(kind)
        if not name.startswith("_") and name != "files" and not callable(getattr(kind, name))
    ]


def _read_everything(inventory: Repository) -> int:
    """Read every public attribute of every object; how many objects there are."""
    kinds = (Block, BlockReplica, Dataset, DatasetReplica, Group, Partition, Site, SitePartition)
    names = {kind: _attributes(kind) for kind in kinds}
    count = 0

    def read(obj: object) -> None:
        nonlocal count
        count += 1
        for name in names[type(obj)]:
            getattr(obj, name)

    for mapping in (inventory.groups, inventory.partitions, inventory.sites):
        for named in mapping.values():
            read(named)
    for site in inventory.sites.values():
        for share in site.partitions.values():
            read(share)
            for members in share.replicas.values():
                for member in members or ():
                    read(member)
    for dataset in inventory.datasets.values():
        read(dataset)
        for block in dataset.blocks:
            read(block)
        for replica in dataset.replicas:
            read(replica)
            for member in replica.block_replicas:
                read(member)
    return count


def _sizes_of_replicas(inventory: Repository) -> int:
    return sum(replica.size() for dataset in inventory.datasets.values() for replica in dataset.replicas)


def _sizes_of_block_replicas(inventory: Repository) -> int:
    return sum(
        member.size
        for dataset in inventory.datasets.values()
        for replica in dataset.replicas
        for member in replica.block_replicas
    )


def _in_child(work: Callable[[], int]) -> int:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, str(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        value = int(answer.read() or b"-1")
    os.waitpid(pid, 0)
    return value


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _verdict(name: str, value: float, limit: float, unit: str) -> None:
    good = value <= limit
    print(f"{name:44}{value:10.2f} {unit:5} gate {limit:g}: {'kept' if good else 'MISSED'}")


def _rows(path: Path) -> int:
    count = 0
    database = sqlite3.connect(path)
    for table in ("datasets", "blocks", "dataset_replicas", "block_replicas"):
        for _ in database.execute(f"SELECT * FROM {table}"):
            count += 1
    database.close()
    return count


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bench-dynamo-") as name:
        folder = Path(name)
        new = _open(folder)
        new.load()
        new.close()
        _fill(folder / "store.db", REPLICAS)
        floor = _seconds(lambda: _rows(folder / "store.db"))
        before = _resident()
        gc.disable()
        inventory = _open(folder)
        load = _seconds(inventory.load)
        freeze_image()
        memory = _resident() - before
        replicas = sum(
            len(replica.block_replicas)
            for site in inventory.sites.values()
            for replica in site.dataset_replicas()
        )
        scale = REPLICAS / 1_000_000
        print(f"{replicas} block replicas, {len(inventory.datasets)} datasets at {SITES} sites")
        _verdict("load", load, 60 * max(scale, 0.1), "s")
        print(f"{'  ratio to reading the same rows':44}{load / floor:10.2f}")
        _verdict("memory of the image", memory / 2**30, 1.5 * max(scale, 0.1), "GiB")
        inventory.store.release()  # type: ignore[union-attr]  # opened above

        def import_it() -> int:
            executable.inventory = inventory.create_proxy()
            return 0

        forks = sorted(_seconds(lambda: _in_child(import_it)) for _ in range(FORKS))
        _verdict("fork and import in a child, median", forks[FORKS // 2] * 1000, 50, "ms")
        bare = sorted(_seconds(lambda: _in_child(lambda: 0)) for _ in range(FORKS))
        print(f"{'  ratio to a bare fork of the same image':44}{forks[FORKS // 2] / bare[FORKS // 2]:10.2f}")

        site = inventory.sites["S1"]

        def copied(work: Callable[[], object]) -> float:
            """Percent of the image."""

            def measured() -> int:
                start = _private()
                work()
                return max(0, _private() - start)

            return 100 * _in_child(measured) / memory

        _verdict(
            "copied by a child that reads everything", copied(lambda: _read_everything(inventory)), 20, "%"
        )
        for text, work in (
            ("makes statistics by site", lambda: sizes({"list_by": "site"}, inventory)),  # type: ignore[arg-type]  # reads only
            ("sums sizes at a site", lambda: sum(replica.size() for replica in site.dataset_replicas())),
            ("sums sizes at all sites", lambda: _sizes_of_replicas(inventory)),
            ("sums sizes of block replicas", lambda: _sizes_of_block_replicas(inventory)),
            ("does nothing", lambda: None),
        ):
            print(f"{f'  one that {text}':44}{copied(work):10.2f} %     {1000 * _seconds(work):.0f} ms")
        query = _seconds(lambda: sizes({"list_by": "site"}, inventory))  # type: ignore[arg-type]  # reads only
        database = sqlite3.connect(folder / "store.db")
        sql = _seconds(
            lambda: database.execute(
                "SELECT s.name, SUM(b.size) FROM block_replicas r JOIN blocks b ON b.id = r.block_id"
                " JOIN sites s ON s.id = r.site_id GROUP BY s.name"
            ).fetchall()
        )
        database.close()
        print(f"{'statistics by site':44}{query:10.2f} s     {query / sql:.2f} of the same in SQL")
        inventory.close()
        small = folder / "small"
        small.mkdir()
        new = _open(small)
        new.load()
        new.close()
        _fill(small / "store.db", REPLICAS // 10)
        part = _open(small)
        part.load()
        policy = DetoxPolicy(POLICY)
        copying = _seconds(lambda: private_image(part, "Default"))
        image = private_image(part, "Default")
        cycle = _seconds(lambda: Cycle(policy, image).run())
        print(
            f"{f'Detox over {REPLICAS // 10} replicas':44}{cycle:10.2f} s     {cycle / copying:.2f} of the copy"
        )
        part.close()
    print(f"peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
