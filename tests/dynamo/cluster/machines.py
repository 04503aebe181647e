"""Three machines on one, each with a MariaDB of a group and a server."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.dynamo.cluster.test_fleet import WRITER
from tests.dynamo.mariadb import MariaDB
from tests.dynamo.single_server import SingleServer, wait_for
from tests.dynamo.snapshot import snapshot

PASSWORD = "try-out"
LEASE_S = 8
"""How long nobody leads before another one does; long enough for a busy machine to answer in between."""


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=60, capture_output=True)


class Machine:
    """A loopback address with a MariaDB and a server."""

    def __init__(self, number: int, net: str, prefix: Sequence[str] = (), replicates: bool = True) -> None:
        self.number = number
        self.name = f"dyn{number}"
        self.address = f"{net}.{number + 1}"
        self.prefix = list(prefix)
        self.database = MariaDB(
            self.prefix,
            [
                f"--bind-address={self.address}",
                "--port=3306",
                "--skip-name-resolve",
            ]
            + replicates
            * [
                f"--server-id={number + 1}",
                "--log-bin=binlog",
                "--binlog-format=ROW",
                "--log-slave-updates=1",
                "--gtid-strict-mode=1",
                "--read-only=1",
                "--relay-log-recovery=1",
                "--slave-net-timeout=4",
            ],
        )
        self.server: SingleServer | None = None

    def connect(self) -> None:
        """Make its network."""

    def start_database(self) -> None:
        self.database.start()

    def make_users(self) -> None:
        self.database.run(
            "SET sql_log_bin = 0",
            f"CREATE USER admin IDENTIFIED BY '{PASSWORD}'",
            "GRANT ALL PRIVILEGES ON *.* TO admin WITH GRANT OPTION",
            f"CREATE USER server IDENTIFIED BY '{PASSWORD}'",
            "GRANT ALL PRIVILEGES ON dynamoserver.* TO server",
            "CREATE DATABASE dynamolocal",
            "GRANT SELECT ON dynamolocal.* TO server",
        )

    def params(self) -> dict[str, Any]:
        return {
            "host": self.address,
            "port": 3306,
            "db": "dynamoserver",
            "user": "server",
            "passwd": PASSWORD,
            "admin_user": "admin",
            "admin_passwd": PASSWORD,
        }

    @property
    def running(self) -> SingleServer:
        assert self.server is not None
        return self.server

    def lose(self) -> None:
        """End everything on the machine like a power cut."""
        self.database.kill()
        self.running.stop(signal.SIGKILL)

    def remove(self) -> None:
        if self.server is not None:
            self.server.stop(signal.SIGKILL)
        self.database.kill()  # a leader without followers would wait for them before it stops
        self.database.stop()


class SeparateMachine(Machine):
    """A machine with a name space of the network, and a cable that can be pulled out."""

    def __init__(self, number: int, hub: str, replicates: bool = True) -> None:
        self._space = f"{hub}{number}"
        self._hub = hub
        self._plug = f"p{number}"
        super().__init__(number, "10.77.0", ["ip", "netns", "exec", self._space], replicates)

    def connect(self) -> None:
        _ip("netns", "add", self._space)
        _ip("-n", self._space, "link", "set", "lo", "up")
        inner = ("name", "eth0", "netns", self._space)
        _ip("-n", self._hub, "link", "add", self._plug, "type", "veth", "peer", *inner)
        _ip("-n", self._hub, "link", "set", self._plug, "master", "br0", "up")
        _ip("-n", self._space, "address", "add", f"{self.address}/24", "dev", "eth0")
        _ip("-n", self._space, "link", "set", "eth0", "up")

    def plug(self, is_in: bool) -> None:
        """Put the cable in, or pull it out."""
        _ip("-n", self._hub, "link", "set", self._plug, "up" if is_in else "down")

    def remove(self) -> None:
        super().remove()
        subprocess.run(["ip", "netns", "delete", self._space], check=False, timeout=60, capture_output=True)


def make_hub() -> str:
    """A name space with a bridge."""
    name = f"dyn{secrets.token_hex(3)}"
    _ip("netns", "add", name)
    _ip("-n", name, "link", "add", "br0", "type", "bridge")
    _ip("-n", name, "link", "set", "br0", "up")
    return name


def remove_hub(name: str) -> None:
    subprocess.run(["ip", "netns", "delete", name], check=False, timeout=60, capture_output=True)


class Group:
    """Three machines with a user `admin`, and a program that may write."""

    def __init__(self, folder: Path, machines: Sequence[Machine] | None = None) -> None:
        net = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(250) + 1}"
        self._folder = folder
        self.machines = list(machines or (Machine(number, net) for number in range(3)))

    def start(self) -> None:
        for machine in self.machines:
            machine.connect()
            machine.start_database()
            machine.make_users()
        replicas = {machine.name: machine.params() for machine in self.machines}
        first = None
        for machine in self.machines:
            place = self._folder / machine.name
            place.mkdir()
            machine.server = SingleServer(
                place,
                name=machine.name,
                master={"replicas": replicas},
                authority=None if first is None else first.authority,
                with_users=False,
                lease=LEASE_S,
                prefix=machine.prefix,
            )
            first = first or machine.server
        for machine in self.machines:
            machine.running.start(wait=False)
        for machine in self.machines:
            wait_for(machine.running.is_up, "Start of a server")
        self._authorize(self.machines[0].running)

    def _authorize(self, first: SingleServer) -> None:
        self.writer = first.script(WRITER, "writer.py")
        self._until_done(first, "user_auth", "-u", "admin", "-n", "/O=Acme, Inc./CN=admin", "-Y")
        self._until_done(first, "user_auth", "-u", "admin", "-r", "admin")
        self._until_done(first, "exec_auth", "-x", self.writer, "-t", "writer")

    @staticmethod
    def _until_done(server: SingleServer, *command: str) -> None:
        """Try again while somebody else is made the leader."""

        def done() -> bool:
            found = server.run(*command)
            return found.returncode == 0 or "already" in found.stderr

        wait_for(done, " ".join(command))

    def stop(self) -> None:
        for machine in self.machines:
            machine.remove()

    def write(self, machine: Machine, name: str) -> None:
        """Try to change something until it is acknowledged."""
        wait_for(lambda: self.writes(machine, name), f"The change {name}")

    def writes(self, machine: Machine, name: str) -> bool:
        """Was a change acknowledged?"""
        return machine.running.dynamo("-W", "-t", "writer", f"{self.writer} {name}").returncode == 0


def group_status(asked: Machine) -> list[dict[str, Any]]:
    """What can be reached of the group, as a machine sees it."""
    done = asked.running.command(
        "dynamo.tools.group", ["status", "--json", "--config", str(asked.running.config)]
    )
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def leader(asked: Machine) -> str:
    """Who leads, as a machine sees it; empty without anybody."""
    return next((row["name"] for row in group_status(asked) if row["leads"]), "")


def wait_until_equal(*machines: Machine) -> None:
    def equal() -> bool:
        stores = [snapshot(machine.running.inventory()) for machine in machines]
        return all(store == stores[0] for store in stores)

    wait_for(equal, "Equality of all stores")
