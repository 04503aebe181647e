"""`dynamo-fleet` starts a fleet on one machine, shows it and ends it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dynamo.dataformat import ConfigurationError
from dynamo.fleet import network
from dynamo.fleet.layout import Layout

from tests.dynamo.cluster.test_fleet import WRITER
from tests.dynamo.mariadb import is_installed
from tests.dynamo.single_server import LIMIT_S, wait_for

SOURCES = Path(__file__).parents[3]
DEFAULT = "dynamo-fleet"
"""Where a fleet lies in somebody's home when nothing else is said."""
SOMEBODY = 61234
"""A user who is nobody else's on a usual machine."""


class Person:
    """Who uses the command: this user, or, when that is root, somebody without rights."""

    def __init__(self, folder: Path, user: int | None) -> None:
        self.folder = folder
        self._user = user
        if user is not None:
            os.chown(folder.parent, user, user)

    def run(self, *command: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command, as this person, with this home."""
        identity: dict[str, Any] = {}
        if self._user is not None:
            identity = {"user": self._user, "group": self._user, "extra_groups": []}
        path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=4 * LIMIT_S,
            check=False,
            cwd=self.folder.parent,
            env={"HOME": str(home or self.folder.parent), "PATH": path, "LANG": "C.UTF-8"},
            **identity,
        )

    def fleet(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `dynamo-fleet` in its folder."""
        return self.run("dynamo-fleet", *arguments, *self._where())

    def shell(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run lines of a shell in which commands speak to the fleet."""
        return self.run("sh", "-ec", f'eval "$(dynamo-fleet env {shlex.join(self._where())})"\n{text}')

    def _where(self) -> list[str]:
        """What says where the fleet lies; nothing for the place that is meant."""
        return [] if self.folder.name == DEFAULT else ["--folder", str(self.folder)]


@contextmanager
def person(user: int | None, folder: str = "f") -> Iterator[Person]:
    """A person with a home of its own and a fleet there, which is taken down afterwards."""
    # Sockets have short names, so the folder lies right below /tmp.
    with tempfile.TemporaryDirectory(prefix="dyn-fleet-", dir="/tmp") as name:
        found = Person(Path(name) / folder, user)
        try:
            yield found
        finally:
            found.fleet("down")


@pytest.fixture
def me() -> Iterator[Person]:
    with person(None) as found:
        yield found


@pytest.fixture(params=["f"])
def somebody(request: pytest.FixtureRequest) -> Iterator[Person]:
    """A person who is not root, with a home that nobody else can look into."""
    with person(SOMEBODY if os.geteuid() == 0 else None, request.param) as found:
        if found.run(sys.executable, "-c", "import dynamo.tools.fleet").returncode != 0:
            pytest.skip(f"{SOURCES} cannot be read by users who are not root")
        assert found.folder.parent.stat().st_mode & 0o077 == 0
        yield found


def check(person: Person, servers: int, *options: str) -> None:
    started = person.fleet("up", "--servers", str(servers), *options)
    assert started.returncode == 0, started.stderr
    again = person.fleet("up", "--servers", str(servers), *options)
    assert (again.returncode, again.stdout) == (0, started.stdout), again.stderr
    rows = json.loads(person.fleet("status", "--json").stdout)
    assert [row["name"] for row in rows] == [f"dyn{number}" for number in range(servers)]
    assert all(row["server"] for row in rows)

    def online() -> bool:
        done = person.shell("dynamo --servers --json")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return sum(1 for row in found if row["status"] == "online") == servers

    wait_for(online, "All servers online")
    assert person.fleet("up", "--servers", "9").returncode == 1
    (person.folder.parent / "writer.py").write_text(WRITER)
    written = person.shell("dynamo-exec-auth -x writer.py -t writer\ndynamo -W -t writer 'writer.py /A/B'")
    assert written.returncode == 0, written.stderr
    injected = person.shell("dynamo-inject -s T2_A --json")
    assert json.loads(injected.stdout)["data"] == {"sites": 1}, injected.stderr


def check_its_end(person: Person) -> None:
    assert person.fleet("down").returncode == 0
    assert person.fleet("status").returncode == 1
    assert person.fleet("down", "--remove").returncode == 0
    assert not person.folder.exists()
    assert person.fleet("status").returncode == 1


def spaces_of(person: Person) -> list[str]:
    hub = json.loads((person.folder / "fleet.json").read_text())["hub"]
    found = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, timeout=60, check=True)
    return [line.split()[0] for line in found.stdout.splitlines() if line.startswith(hub)]


@pytest.mark.parametrize("somebody", [DEFAULT], indirect=True)
def test_a_user_without_rights_has_a_fleet_of_one_at_home_and_no_database(somebody: Person) -> None:
    check(somebody, 1)
    assert somebody.folder.is_dir()
    assert not list(somebody.folder.glob("*/mariadb.run"))
    check_its_end(somebody)


LONG = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not os.environ.get("DYNAMO_LONG"), reason="`make test-dynamo` runs it"),
    pytest.mark.skipif(not is_installed(), reason="mariadb-server is not installed"),
]


def marked(function: Callable[..., None]) -> Callable[..., None]:
    for mark in LONG:
        function = mark(function)
    return function


@marked
def test_a_user_without_rights_has_a_fleet_of_three_on_loopback(somebody: Person) -> None:
    check(somebody, 3)
    net = json.loads((somebody.folder / "fleet.json").read_text())["net"]
    assert net.startswith("127.")
    assert somebody.fleet("cut", "dyn0").returncode == 1
    check_what_others_can_open(somebody)
    # The one whose MariaDB leads is lost, and the fleet goes on.
    leader = json.loads(somebody.shell("dynamo-group status --json").stdout)
    first = next(row["name"] for row in leader if row["leads"])
    kill_recorded(somebody.folder / first / "mariadb.run")
    kill_recorded(somebody.folder / first / "server.run")
    rest = next(row["name"] for row in leader if row["name"] != first)
    host = json.loads((somebody.folder / rest / "server_config.json").read_text())["applications"]["server"]
    write = f"dynamo -s {host['host']} -W -t writer 'writer.py /A/C'"
    wait_for(lambda: somebody.shell(write).returncode == 0, "A change without the first leader")
    assert somebody.fleet("up").returncode == 0
    check_its_end(somebody)


@marked
@pytest.mark.skipif(network.why_not() != "", reason="no name spaces of the network here")
def test_root_has_a_fleet_whose_cables_can_be_pulled(me: Person) -> None:
    check(me, 3)
    assert len(spaces_of(me)) == 4
    check_what_others_can_open(me)
    first = next(
        row["name"] for row in json.loads(me.shell("dynamo-group status --json").stdout) if row["leads"]
    )
    assert me.fleet("cut", first).returncode == 0
    other = "dyn1" if first == "dyn0" else "dyn0"
    config = me.folder / other / "server_config.json"

    def other_leads(size: int) -> bool:
        rows = json.loads(me.run("dynamo-group", "status", "--json", "--config", str(config)).stdout)
        return len(rows) == size and any(row["leads"] and row["name"] != first for row in rows)

    wait_for(lambda: other_leads(2), "Another leader")
    assert me.fleet("mend", first).returncode == 0
    wait_for(lambda: other_leads(3), "The return of the first leader")
    assert me.fleet("cut", "dyn7").returncode == 1
    spaces = spaces_of(me)
    assert me.fleet("down").returncode == 0
    assert spaces
    assert spaces_of(me) == []
    check_its_end(me)


def check_what_others_can_open(person: Person) -> None:
    """Nobody else may come to what holds keys and passwords, or to a database's administrator."""
    folder = person.folder
    for private in (*folder.glob("*.pem"), folder / "fleet.json", *folder.glob("*/server_config.json")):
        if private.name != "ca.pem":
            assert private.stat().st_mode & 0o077 == 0, private
    for socket in folder.glob("*/run/socket"):
        assert socket.parent.stat().st_mode & 0o077 == 0, socket
    assert not list(folder.glob("*/socket"))


def kill_recorded(record: Path) -> None:
    os.kill(int(record.read_text().split()[0]), signal.SIGKILL)


def test_addresses_are_those_that_no_route_is_about() -> None:
    taken = {network.free_net() for _ in range(5)}
    assert all(net.startswith("10.") and net.count(".") == 2 for net in taken)


def test_a_layout_has_limits(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="1 to 9 can be"):
        Layout(tmp_path, 10, "127.1.1", "x")
    with pytest.raises(ConfigurationError, match="too long for a socket"):
        Layout(tmp_path / ("x" * 200), 1, "127.1.1", "x")
