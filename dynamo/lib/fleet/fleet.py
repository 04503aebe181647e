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
from dynamo.fleet.certificates import ORGANIZATION, Authority
from dynamo.fleet.layout import APPLICATIONS, HTTP, Layout
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

    @classmethod
    def opened(cls, folder: Path, servers: int | None, say: Say) -> Fleet:
        """The fleet of a folder; with `servers` a new one unless there is one.  Raises ConfigurationError."""
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
            net = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}"
            values = {"servers": servers, "net": net, "password": secrets.token_urlsafe(24)}
        layout = Layout(folder, **values)
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
                [*command, "--port-file", str(place / "ports.json")],
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
            ["/usr/sbin/mariadbd", *layout.mariadb(name), *user],
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
        if remove:
            shutil.rmtree(self.layout.folder)


def _answers(socket: Path) -> bool:
    try:
        pymysql.connect(unix_socket=str(socket), user="root", connect_timeout=2).close()
    except pymysql.Error:
        return False
    return True
