"""Starts, shows and ends a fleet on one machine.  Every step looks first, so that all of it can be done again."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pymysql

from dynamo.dataformat import ConfigurationError, OperationalError
from dynamo.fileop.rooted import MARKER
from dynamo.fleet import network
from dynamo.fleet.certificates import ORGANIZATION, Authority
from dynamo.fleet.layout import APPLICATIONS, HTTP, HTTPS, Layout
from dynamo.fleet.network import Network
from dynamo.fleet.processes import runs, start, stop

START_S = 180.0
"""How long a part of the fleet may take to come up, in seconds."""
PARTITIONS = "Default: dataset.name == *\nOwned: blockreplica.owner != None\n"

Say = Callable[[str], None]


class Fleet:
    """A fleet in a folder, which keeps its layout."""

    def __init__(self, layout: Layout, say: Say) -> None:
        """`say` is told of progress."""
        self.layout = layout
        self._say = say
        self._network = Network(layout.hub, layout.net) if layout.hub else None

    @classmethod
    def opened(cls, folder: Path, servers: int | None, say: Say, loopback: bool = False) -> Fleet:
        """The fleet of a folder; with `servers` a new one unless there is one.

        A new one of several servers has a network of its own where this machine can, unless `loopback`.
        Raises ConfigurationError.
        """
        kept = folder / "fleet.json"
        if kept.exists():
            values = json.loads(kept.read_text())
            if servers not in (None, values["servers"]):
                raise ConfigurationError(
                    f"{folder} holds a fleet of {values['servers']}; take it down, or choose another --folder"
                )
        elif servers is None:
            raise ConfigurationError(f"There is no fleet in {folder}; start one with `dynamo-fleet up`")
        else:
            values = {"servers": servers, "password": secrets.token_urlsafe(24)}
            missing = "one server needs none" if servers == 1 else network.why_not()
            if loopback or missing:
                if not loopback and servers > 1:
                    say(f"Servers get addresses of loopback, without a network of their own: {missing}")
                values["net"] = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}"
            else:
                values.update(net=network.free_net(), hub=f"dynf{secrets.token_hex(3)}")
        layout = Layout(folder, **values, sites=_sites(folder))
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not kept.exists():
            kept.touch(mode=0o600)
            kept.write_text(json.dumps(values))
        return cls(layout, say)

    def up(self) -> None:
        """Start what does not run, and wait until clients are served.  Raises OperationalError."""
        layout = self.layout
        if layout.has_databases and not Path("/usr/sbin/mariadbd").exists():
            raise OperationalError("Several servers need MariaDB; install the package mariadb-server")
        if self._network is not None:
            self._network.ensure(layout.servers)
        self._certificates()
        for name in layout.names:
            place = layout.place(name)
            (place / "log").mkdir(parents=True, exist_ok=True)
            config = place / "server_config.json"
            config.touch(mode=0o600)
            config.write_text(json.dumps(layout.config(name), indent=1))
            if layout.has_databases:
                self._database(name)
        for name in layout.names:
            place = layout.place(name)
            program = "from dynamo.tools.dynamod import main; main()"
            command = [sys.executable, "-c", program, "--config", str(place / "server_config.json")]
            if not runs(place / "server.run"):
                (place / "ports.json").unlink(missing_ok=True)
            start(
                [*self._prefix(name), *command, "--port-file", str(place / "ports.json")],
                place / "server.run",
                place / "log" / "dynamod.log",
            )
        for name in layout.names:
            self._wait((layout.place(name) / "ports.json").exists, f"server {name}")
        for arguments in (
            ["-u", "admin", "-n", f"/O={ORGANIZATION}/CN=admin", "-Y"],
            ["-u", "admin", "-r", "admin", "-Y"],
        ):
            self._wait(partial(self._tool, arguments), "the user admin")

    def _prefix(self, name: str) -> list[str]:
        """What a command of a server begins with."""
        return [] if self._network is None else self._network.prefix(self.layout.names.index(name))

    def plug(self, name: str, is_in: bool) -> None:
        """Put the network cable of a server in, or pull it out.  Raises ConfigurationError."""
        if name not in self.layout.names:
            raise ConfigurationError(f"There is no server {name}; there are {', '.join(self.layout.names)}")
        if self._network is None:
            raise ConfigurationError(
                "This fleet has addresses of loopback, which have no cable; start one as root without --loopback"
            )
        self._network.plug(self.layout.names.index(name), is_in)

    def environment(self) -> dict[str, str]:
        """Variables that lead clients to the first server that runs, and the commands of its administrator to its
        tables.
        """
        folder, names = self.layout.folder, self.layout.names
        first = next((name for name in names if runs(self.layout.place(name) / "server.run")), names[0])
        return {
            "DYNAMO_SERVER_HOST": f"{self.layout.address(first)}:{APPLICATIONS}",
            "DYNAMO_WEB_HOST": f"{self.layout.address(first)}:{HTTPS}",
            "DYNAMO_CA": str(folder / "ca.pem"),
            "X509_USER_PROXY": str(folder / "admin.pem"),
            "DYNAMO_SERVER_CONFIG": str(self.layout.place(first) / "server_config.json"),
            "DYNAMO_SERVER_DEBUG": "1",
        }

    def _certificates(self) -> None:
        folder, layout = self.layout.folder, self.layout
        if not (folder / "admin.pem").exists():
            authority = Authority(folder)
            for name in layout.names:
                authority.issue(name, layout.address(name))
            authority.issue("admin")
        (folder / "partitions.txt").write_text(PARTITIONS)

    def _tool(self, arguments: list[str]) -> bool:
        config = self.layout.place(self.layout.names[0]) / "server_config.json"
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from dynamo.tools.user_auth import main; main()",
                *arguments,
                "--config",
                str(config),
            ],
            env={**os.environ, "DYNAMO_SERVER_DEBUG": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        return done.returncode == 0 or "already" in done.stderr

    def _database(self, name: str) -> None:
        layout = self.layout
        place, data = layout.place(name), layout.place(name) / "data"
        user = ["--user=root"] if os.geteuid() == 0 else []
        layout.socket(name).parent.mkdir(mode=0o700, exist_ok=True)
        is_new = not (place / "users.done").exists()
        if is_new and not runs(place / "mariadb.run"):
            shutil.rmtree(data, ignore_errors=True)
            self._say(f"Making the MariaDB of {name}")
            with (place / "log" / "mariadb.log").open("ab") as log:
                subprocess.run(
                    [
                        "mariadb-install-db",
                        "--no-defaults",
                        f"--datadir={data}",
                        "--auth-root-authentication-method=normal",
                        "--skip-test-db",
                        *user,
                    ],
                    stdout=log,
                    stderr=log,
                    timeout=START_S,
                    check=True,
                )
        start(
            [*self._prefix(name), "/usr/sbin/mariadbd", *layout.mariadb(name), *user],
            place / "mariadb.run",
            place / "log" / "mariadb.log",
        )
        self._wait(lambda: _answers(layout.socket(name)), f"the MariaDB of {name}")
        if is_new:
            with pymysql.connect(unix_socket=str(layout.socket(name)), user="root") as connection:
                with connection.cursor() as cursor:
                    for statement in layout.users():
                        cursor.execute(statement)
            (place / "users.done").touch()

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        self._say(f"Waiting for {what}")
        end = time.monotonic() + START_S
        while not condition():
            if time.monotonic() > end:
                raise OperationalError(
                    f"{what} did not come up within {START_S:.0f} s; look into {self.layout.folder}/*/log"
                )
            time.sleep(0.2)

    def status(self) -> list[dict[str, Any]]:
        """What runs, by server."""
        layout = self.layout
        return [
            {
                "name": name,
                "server": runs(layout.place(name) / "server.run"),
                "database": runs(layout.place(name) / "mariadb.run") if layout.has_databases else None,
                "address": f"{layout.address(name)}:{APPLICATIONS}",
                "web": f"http://{layout.address(name)}:{HTTP}/web/servers",
            }
            for name in layout.names
        ]

    def down(self, remove: bool) -> None:
        """End everything, and remove the folder if wanted."""
        for name in self.layout.names:
            self._say(f"Ending {name}")
            stop(self.layout.place(name) / "server.run")
        for name in self.layout.names:
            # Without its followers a leader waits for them before it stops, so it is not asked.
            stop(self.layout.place(name) / "mariadb.run", signal.SIGKILL)
        if self._network is not None:
            self._network.remove(self.layout.servers)
        if remove:
            shutil.rmtree(self.layout.folder)


def _sites(folder: Path) -> tuple[str, ...]:
    """Sites whose files lie in the fleet's folder: those that are marked."""
    return tuple(sorted(marker.parent.name for marker in folder.glob(f"sites/*/{MARKER}")))


def _answers(socket: Path) -> bool:
    try:
        pymysql.connect(unix_socket=str(socket), user="root", connect_timeout=2).close()
    except pymysql.Error:
        return False
    return True
