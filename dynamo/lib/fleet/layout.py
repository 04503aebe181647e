"""Where everything of a fleet on one machine lies.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynamo.dataformat import ConfigurationError

MAX_SERVERS = 9
MAX_SOCKET = 100
"""Longest path of a MariaDB's socket, in bytes."""
DATABASE, APPLICATIONS, HTTP, HTTPS = 3306, 39626, 8080, 8443
"""Ports, on an address of its own for every server."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A fleet of servers dyn0, dyn1, … with addresses `net`.1, `net`.2, …

    `password` is that of the databases' users, who come in from this machine only.  `hub` names the network of the
    fleet; without one its addresses are those of loopback.  `sites` have their files in folders of these names.
    """

    folder: Path
    servers: int
    net: str
    password: str
    hub: str = ""
    sites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.servers <= MAX_SERVERS:
            raise ConfigurationError(f"{self.servers} servers were asked for; 1 to {MAX_SERVERS} can be")
        if len(bytes(self.socket(self.names[-1]))) > MAX_SOCKET:
            raise ConfigurationError(f"{self.folder} is too long for a socket in it; choose another --folder")

    @property
    def names(self) -> list[str]:
        """Names of the servers."""
        return [f"dyn{number}" for number in range(self.servers)]

    @property
    def has_databases(self) -> bool:
        """Does every server have a MariaDB?  A single one needs none."""
        return self.servers > 1

    def place(self, name: str) -> Path:
        """The folder of a server."""
        return self.folder / name

    def address(self, name: str) -> str:
        """The address of a server."""
        return f"{self.net}.{self.names.index(name) + 1}"

    def socket(self, name: str) -> Path:
        """Where the MariaDB of a server listens for its administrator, who has no password.

        Anybody may connect to a socket of MariaDB, so its folder has to be open to its owner alone.
        """
        return self.place(name) / "run" / "socket"

    def mariadb(self, name: str) -> list[str]:
        """Options of a server's MariaDB."""
        place = self.place(name)
        return [
            "--no-defaults",
            f"--datadir={place}/data",
            f"--socket={self.socket(name)}",
            f"--pid-file={place}/mariadb.pid",
            f"--bind-address={self.address(name)}",
            f"--port={DATABASE}",
            f"--server-id={self.names.index(name) + 1}",
            "--log-bin=binlog",
            "--binlog-format=ROW",
            "--log-slave-updates=1",
            "--gtid-strict-mode=1",
            "--read-only=1",
            "--relay-log-recovery=1",
            "--skip-name-resolve",
            "--slave-net-timeout=4",
            "--innodb-buffer-pool-size=64M",
        ]

    def config(self, name: str) -> dict[str, Any]:
        """The configuration of a server."""
        place, certificate, authority = self.place(name), self.folder / f"{name}.pem", self.folder / "ca.pem"
        files = {"certfile": str(certificate), "keyfile": str(certificate), "capath": str(authority)}
        master: dict[str, Any] = {"path": str(place / "server.db")}
        if self.has_databases:
            master = {"replicas": {each: self._replica(each) for each in self.names}}
        return {
            "name": name,
            "inventory": {
                "persistency": {
                    "module": "sqlitestore:SQLiteInventoryStore",
                    "config": {"path": str(place / "store.db")},
                },
                "partition_def_path": str(self.folder / "partitions.txt"),
            },
            "manager": {"master": master, "conflicts": str(place / "conflicts")},
            "applications": {
                "enabled": True,
                "server": {
                    "workarea_base": str(place / "work"),
                    "host": self.address(name),
                    "port": APPLICATIONS,
                    **files,
                },
            },
            "fileop": self._file_operations(name),
            "web": {"host": self.address(name), "http_port": HTTP, "https_port": HTTPS, **files},
            "logging": {"path": str(place / "log")},
        }

    @property
    def site_folders(self) -> Path:
        """The folder with a folder for every site."""
        return self.folder / "sites"

    def _file_operations(self, name: str) -> dict[str, Any] | None:
        if not self.sites:
            return None
        roots = {site: str(self.site_folders / site) for site in self.sites}
        return {"roots": roots, "spool": str(self.place(name) / "spool"), "round": 1.0}

    def _replica(self, name: str) -> dict[str, Any]:
        return {
            "host": self.address(name),
            "port": DATABASE,
            "db": "dynamoserver",
            "user": "server",
            "passwd": self.password,
            "admin_user": "admin",
            "admin_passwd": self.password,
        }

    def users(self) -> list[str]:
        """Statements that make the users of a MariaDB, on it alone."""
        # Whoever speaks to another address of loopback comes from 127.0.0.1.
        source = f"{self.net}.%" if self.hub else "127.%"
        admin, server = f"admin@'{source}'", f"server@'{source}'"
        return [
            "SET sql_log_bin = 0",
            f"CREATE USER {admin} IDENTIFIED BY '{self.password}'",
            f"GRANT ALL PRIVILEGES ON *.* TO {admin}",
            f"CREATE USER {server} IDENTIFIED BY '{self.password}'",
            f"GRANT ALL PRIVILEGES ON dynamoserver.* TO {server}",
            "CREATE DATABASE dynamolocal",
            f"GRANT SELECT ON dynamolocal.* TO {server}",
        ]
