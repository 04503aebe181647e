"""A directory on one machine: which services it has, where their files stand, what its namespace file says."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from oio.service.lease import LeaseStore
from oio.service.lease.sqlite import SqliteLeases
from oio.service.lease.zookeeper import ZookeeperLeases

MAX_SERVICES: Final = 64
MAX_REPLICAS: Final = 7
MAX_CONSCIENCES: Final = 7


@dataclass(frozen=True, slots=True)
class Deployment:
    """`services` of each of meta0, meta1, meta2 and rdir, `replicas` of each base, `ttl` of leases in seconds, so many
    `consciences` that tell each other what they know.

    With `apart` every service has a loopback address of its own, so that the ways between them can be cut one by one.
    With `named` services are known by stable ids, which are their names here, and not by their addresses.
    Leases are kept in the ensemble `zookeeper` (`host:port,…`), or in a file when it is empty.
    """

    root: Path
    namespace: str = "OPENIO"
    services: int = 3
    replicas: int = 3
    digits: int = 2
    ttl: float = 3.0
    apart: bool = False
    zookeeper: str = ""
    consciences: int = 1
    named: bool = False

    def checked(self) -> Deployment:
        """Itself; ValueError names the number that cannot be."""
        if not 1 <= self.services <= MAX_SERVICES:
            raise ValueError(f"--services {self.services}: a number from 1 to {MAX_SERVICES} is expected")
        if not 1 <= self.replicas <= min(self.services, MAX_REPLICAS):
            raise ValueError(
                f"--replicas {self.replicas}: from 1 to {min(self.services, MAX_REPLICAS)} is expected with "
                f"--services {self.services}"
            )
        if not 1 <= self.consciences <= MAX_CONSCIENCES:
            raise ValueError(
                f"--consciences {self.consciences}: a number from 1 to {MAX_CONSCIENCES} is expected"
            )
        if self.zookeeper:
            ZookeeperLeases(self.zookeeper, self.namespace, self.ttl)
        return self

    def leases(self) -> LeaseStore:
        """The store of the leases, not yet connected."""
        if self.zookeeper:
            return ZookeeperLeases(self.zookeeper, self.namespace, self.ttl)
        return SqliteLeases(self.lease_file)

    @classmethod
    def load(cls, root: Path) -> Deployment:
        """The deployment below a folder; FileNotFoundError when there is none."""
        values = json.loads((root / "deployment.json").read_text())
        return cls(**{**values, "root": root})

    def save(self) -> None:
        """Write it below its folder."""
        (self.root / "run").mkdir(parents=True, exist_ok=True)
        values = {key: value for key, value in asdict(self).items() if key != "root"}
        (self.root / "deployment.json").write_text(json.dumps(values, indent=2) + "\n")
        for name in ("secret", "admin-secret"):
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(self.root / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    file.write(secrets.token_hex(32))

    def secret(self) -> str:
        """What the services of the namespace know and nobody else; FileNotFoundError before `save`."""
        return (self.root / "secret").read_text()

    def admin_secret(self) -> str:
        """What proves the admin right from another machine; empty in a directory that was made without."""
        file = self.root / "admin-secret"
        return file.read_text() if file.exists() else ""

    @property
    def lease_file(self) -> Path:
        """File of the leases."""
        return self.root / "leases.sqlite"

    def names(self) -> list[str]:
        """All services, in the order in which they are started."""
        metas = [f"{kind}-{number}" for kind in ("meta0", "meta1", "meta2") for number in self.numbers()]
        rdirs = [f"rdir-{number}" for number in self.numbers()]
        return [*self.conscience_names(), "proxy-1", *metas, *rdirs]

    def conscience_names(self) -> list[str]:
        """All consciences. They are started first, because the others ask for their addresses."""
        return [f"conscience-{number}" for number in range(1, self.consciences + 1)]

    def consciences_known(self, but: str = "") -> list[str]:
        """Addresses of those consciences that have started once, without that of the one named `but`."""
        names = [name for name in self.conscience_names() if name != but and self.address_file(name).exists()]
        return [self.address(name) for name in names]

    def numbers(self) -> range:
        """Numbers of the services of one kind."""
        return range(1, self.services + 1)

    def host(self, name: str) -> str:
        """The address that a service listens on and calls others from."""
        return f"127.0.1.{self.names().index(name) + 1}" if self.apart else "127.0.0.1"

    def address_file(self, name: str) -> Path:
        """Where a service writes its address."""
        return self.root / "run" / f"{name}.address"

    def process_file(self, name: str) -> Path:
        """Where the process of a service is remembered."""
        return self.root / "run" / f"{name}.process"

    def address(self, name: str) -> str:
        """Address of a service; FileNotFoundError until it has started once."""
        return self.address_file(name).read_text().strip()

    def known_as(self, name: str) -> str:
        """What a service is called in the directory: its stable id, or its address."""
        return name if self.named else self.address(name)

    def update_policy(self) -> str:
        """`ns.service_update_policy` of the namespace."""
        return f"meta2=KEEP|{self.replicas}|1|;rdir=KEEP|1|1|;"

    def description(self) -> dict[str, Any]:
        """What `conscience/info` answers."""
        return {
            "ns": self.namespace,
            "chunksize": 1048576,
            "options": {
                "flat_bitlength": 17,
                "storage_policy": "SINGLE",
                "service_update_policy": self.update_policy(),
            },
            "storage_policy": {"SINGLE": "NONE:NONE"},
            "service_pools": {
                "rdir": "1,rdir",
                "meta2": f"{self.replicas},meta2",
                "meta1": f"{self.replicas},meta1",
            },
            "data_security": {},
        }

    def write_namespace_file(self, path: Path) -> None:
        """Set this namespace's section in a namespace file of OpenIO SDS; other sections stay."""
        parser = configparser.RawConfigParser()
        parser.read(path)
        if not parser.has_section(self.namespace):
            parser.add_section(self.namespace)
        values = {
            "proxy": self.address("proxy-1"),
            "conscience": ",".join(self.consciences_known()),
            "ns.meta1_digits": str(self.digits),
            "ns.service_update_policy": self.update_policy(),
        }
        if self.zookeeper:
            values["zookeeper"] = self.zookeeper
        for key, value in values.items():
            parser.set(self.namespace, key, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            parser.write(file)


def role(name: str) -> str:
    """The kind of a service by its name: `meta1` for `meta1-2`."""
    return name.rpartition("-")[0]


def location(name: str) -> str:
    """Where a service stands: every service has a host of its own, as a test of distances needs it."""
    return f"site1.rack1.host{name.rpartition('-')[2]}.{name}"


def initial_mapping(services: list[str], replicas: int, digits: int) -> dict[str, list[str]]:
    """Prefix -> meta1 services: bases are dealt round robin, so that all services hold equally many."""
    width = 16 ** (4 - digits)
    return {
        f"{prefix:04X}": [services[(prefix // width + step) % len(services)] for step in range(replicas)]
        for prefix in range(65536)
    }
