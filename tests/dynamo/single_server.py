"""A server of its own for tests, with its commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynamo.core.inventory import DynamoInventory

from tests.dynamo.certificates import Authority

LIMIT_S = 120.0
LEASE_S = 4
PARTITIONS = "Default: dataset.name == *\nOwned: blockreplica.owner != None\n"


def wait_for(condition: Any, what: str, limit: float = LIMIT_S) -> Any:
    """Wait until a condition gives something true."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {limit} s")


class SingleServer:
    """A `dynamod` in a folder, users `admin` (may do everything), `guest` (may look), and a stranger."""

    def __init__(
        self,
        folder: Path,
        modules: Path | None = None,
        *,
        name: str = "single",
        master: dict[str, Any] | None = None,
        authority: Authority | None = None,
        with_users: bool = True,
        sites: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
        lease: int = LEASE_S,
        store: dict[str, Any] | None = None,
        has_store: bool = True,
        start_timeout: float = LIMIT_S,
        applications: bool = True,
        mail: dict[str, Any] | None = None,
        applications_config: dict[str, Any] | None = None,
        board: dict[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self._prefix = list(prefix)
        self.modules = modules or folder / "no-modules"
        self.work_base = folder / "work"
        self.config = folder / "server_config.json"
        self._port_file = folder / "port"
        self._process: subprocess.Popen[bytes] | None = None
        authority = authority or Authority(folder)
        self.authority = authority
        self.ca = authority.path
        self.certificates = {user: authority.issue(user) for user in ("admin", "guest", "stranger")}
        host = authority.issue("host")
        (folder / "partitions.txt").write_text(PARTITIONS)
        self.inventory_config: dict[str, Any] = {
            "persistency": store
            or {
                "module": "sqlitestore:SQLiteInventoryStore",
                "config": {"path": str(folder / "store.db")},
            },
            "partition_def_path": str(folder / "partitions.txt"),
        }
        if not has_store:
            del self.inventory_config["persistency"]
        self.config.write_text(
            json.dumps(
                {
                    "inventory": self.inventory_config,
                    "name": name,
                    "start_timeout": start_timeout,
                    "manager": {
                        "master": master or {"path": str(folder / "server.db")},
                        "lease": {"ttl": lease},
                        "conflicts": str(folder / "conflicts"),
                        "board": board
                        and {"module": "mysqlboard:MySQLUpdateBoard", "config": {"db_params": board}},
                    },
                    "applications": {
                        "enabled": applications,
                        "sequence_round": 0.2,
                        **(applications_config or {}),
                        "server": {
                            "workarea_base": str(self.work_base),
                            "certfile": str(host),
                            "keyfile": str(host),
                            "capath": str(self.ca),
                            "port": 0,
                        },
                    },
                    "web": {
                        "http_port": 0,
                        "https_port": 0,
                        "certfile": str(host),
                        "keyfile": str(host),
                        "capath": str(self.ca),
                        "module_folders": [] if modules is None else [str(modules)],
                    },
                    "mail": mail or {},
                    "notification_recipient": "ops@site.example" if mail else "",
                    "status_poll_interval": 0.2,
                    "fileop": sites and {"roots": sites, "spool": str(folder / "spool"), "round": 0.2},
                    "logging": {"path": str(folder / "log")},
                }
            )
        )
        for name in ("admin", "guest") if with_users else ():
            self.run("user_auth", "-u", name, "-n", f"/O=Acme, Inc./CN={name}", "-Y")
        if with_users:
            self.run("user_auth", "-u", "admin", "-r", "admin")

    def run(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of the commands for those who run a server."""
        return self.command(f"dynamo.tools.{tool}", [*arguments, "--config", str(self.config)])

    def dynamo(
        self, *arguments: str, user: str = "admin", stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The command `dynamo` of a user."""
        return self.command("dynamo.client.dynamo", [*self.client_options(user), *arguments], stdin)

    def client_options(self, user: str = "admin") -> list[str]:
        """Options of `dynamo` that lead to this server."""
        return ["-s", f"localhost:{self.port}", "-c", str(self.certificates[user]), "--ca", str(self.ca)]

    def command(
        self, module: str, arguments: list[str], stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command of the package in a process of its own, on the machine of this server."""
        return self.command_anywhere(module, arguments, stdin, self._prefix)

    @staticmethod
    def command_anywhere(
        module: str, arguments: list[str], stdin: str | None = None, prefix: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """A command of the package in a process of its own."""
        return subprocess.run(
            [*prefix, sys.executable, "-c", f"from {module} import main; main()", *arguments],
            capture_output=True,
            text=True,
            input=stdin,
            timeout=LIMIT_S,
            check=False,
            env={**os.environ, "DYNAMO_SERVER_DEBUG": "1"},
        )

    def start(self, wait: bool = True) -> None:
        """Start the server and wait until it serves clients."""
        self._port_file.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                *self._prefix,
                sys.executable,
                "-c",
                "from dynamo.tools.dynamod import main; main()",
                "--config",
                str(self.config),
                "--port-file",
                str(self._port_file),
            ],
            start_new_session=True,
        )
        if wait:
            wait_for(self.is_up, "Start of the server")

    def is_up(self) -> bool:
        """Does it serve clients?"""
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log" / "server.log").read_text()
        return self._port_file.exists() and self._port_file.read_text() != ""

    @property
    def port(self) -> int:
        return self.ports["applications"]

    @property
    def ports(self) -> dict[str, int]:
        return dict(json.loads(self._port_file.read_text()))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server, at once with SIGKILL."""
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(LIMIT_S)
            finally:
                self._process.kill()
                self._process = None

    def wait_for_end(self) -> int:
        """Wait until the server ends by itself; its exit code."""
        assert self._process is not None
        code = self._process.wait(LIMIT_S)
        self._process = None
        return code

    def script(self, text: str, name: str = "script.py") -> str:
        """Path of a program with this text."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def inventory(self) -> DynamoInventory:
        """What the store holds now."""
        inventory = DynamoInventory(self.inventory_config)
        inventory.load()
        inventory.close()
        return inventory
