"""A directory of real processes for the tests of the package: four services of each kind, 16 meta1 bases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oio.container.client import ContainerClient
from oio.directory.admin import AdminClient
from oio.directory.client import DirectoryClient
from oio.directory.indexer import Meta2IndexingWorker
from oio.directory.meta0 import Meta0Client, Meta0PrefixMapping
from oio.rdir.client import RdirClient
from oio.service.deployment import Deployment
from tests.oio.service.cluster import Cluster, eventually, running

ACCOUNT = "acct"
LEASE = 8.0
"""Seconds: a busy machine must not cost a master its lease in the middle of a move."""


class Package:
    """The package's clients of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.conf: dict[str, Any] = {
            "namespace": "OPENIO",
            "proxyd_url": cluster.deployment.address("proxy-1"),
        }
        self.directory = DirectoryClient(self.conf)
        self.admin = AdminClient(self.conf)
        self.container = ContainerClient(self.conf)
        self.rdir = RdirClient(self.conf)
        self.written: dict[str, str] = {}

    def address(self, name: str) -> str:
        return self.cluster.deployment.address(name)

    def volume(self, name: str) -> Path:
        return self.cluster.deployment.root / name

    def files(self, name: str, kind: str) -> list[str]:
        """Names of the bases that lie on a volume."""
        found = (path for path in self.volume(name).rglob(f"*.{kind}") if ".held" not in path.parts)
        return sorted(path.name for path in found)

    def mapping(self) -> Meta0PrefixMapping:
        found = Meta0PrefixMapping(Meta0Client(self.conf), digits=1)
        found.load_meta0()
        return found

    def write(self, name: str, value: str) -> None:
        """Make a container with a property, remembered as acknowledged."""
        self.container.container_create(ACCOUNT, name, properties={"p": value})
        self.written[name] = value

    def check(self) -> None:
        """Everything that was acknowledged is there."""
        for name, value in self.written.items():
            assert self.container.container_get_properties(ACCOUNT, name)["properties"] == {"p": value}

    def index(self) -> None:
        """Give every volume its rdir service, and let it be indexed."""
        self.settled(list(self.written))
        for number in self.cluster.deployment.numbers():
            address = self.address(f"meta2-{number}")
            self.directory.link("_RDIR", address, "rdir", autocreate=True)
            self.rdir.meta2_index_create(address)
            worker = Meta2IndexingWorker(self.volume(f"meta2-{number}"), self.conf)
            eventually(lambda worker=worker, number=number: self._is_indexed(worker, number))  # type: ignore[misc]

    def _is_indexed(self, worker: Meta2IndexingWorker, number: int) -> bool:
        worker.crawl_volume()
        return worker.failed_nb == 0 and worker.success_nb == len(self.files(f"meta2-{number}", "meta2"))

    def settled(self, names: list[str]) -> None:
        """Wait until all copies of these containers' bases stand at the same entry."""
        for name in names:
            eventually(lambda name=name: self._alike(name))  # type: ignore[misc]  # bound now

    def _alike(self, name: str) -> bool:
        status, body = self.cluster.ask("POST", "admin/info", type="meta2", acct=ACCOUNT, ref=name)
        assert status == 200, body
        seen = [
            answer["body"] and (answer["body"]["versions"], answer["body"]["facts"][1:3])
            for answer in body.values()
        ]
        return all(one and one == seen[0] for one in seen)


@contextmanager
def package(folder: Path) -> Iterator[Package]:
    with running(Deployment(folder / "directory", services=4, digits=1, ttl=LEASE)) as cluster:
        yield Package(cluster)
