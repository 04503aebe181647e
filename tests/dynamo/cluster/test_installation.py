"""Two machines installed by `dynamo.cfg`: the second one is told the first one's name, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dynamo.web.modules._html import CONTENTS

from tests.dynamo.certificates import Authority
from tests.dynamo.cluster.machines import SeparateMachine, make_hub, remove_hub
from tests.dynamo.cluster.test_fleet import WRITER
from tests.dynamo.mariadb import is_installed
from tests.dynamo.single_server import SingleServer

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="name spaces of the network need root"),
    pytest.mark.skipif(not os.environ.get("DYNAMO_LONG"), reason="`make test-dynamo` runs it"),
]

PASSWORDS = {"dynamosrv": "serves", "dynamoread": "reads"}


class Installed(SingleServer):
    """A `dynamod` whose configuration is the one that `dynamo-server-conf` makes."""

    def __init__(
        self, folder: Path, machine: SeparateMachine, master: str, has_store: bool, authority: Authority
    ):
        super().__init__(folder, authority=authority, with_users=False, prefix=machine.prefix)
        certificate = authority.issue("host")
        (folder / "spool").mkdir()
        (folder / "web").symlink_to(CONTENTS)
        local = '{"host": "localhost", "user": "dynamosrv", "readuser": "dynamoread"}'
        board = {"host": machine.address, "user": "dynamosrv", "readuser": "dynamoread"}
        store = {"host": machine.address, "user": "keeper", "passwd": f"keeps-{machine.name}"}
        applications = {
            "workarea_base": str(self.work_base),
            "scheduler_base": "-",
            "scheduler_user": "-",
            "certfile": str(certificate),
            "keyfile": str(certificate),
            "capath": str(authority.path),
        }
        (folder / "dynamo.cfg").write_text(
            f"[paths]\ndynamo_base={folder}\nspool_path={folder}/spool\nlog_path={folder}/log\n"
            "[server]\nuser=root\n"
            + (f"store=mysqlstore:MySQLInventoryStore\nstore_conf={json.dumps(store)}\n" if has_store else "")
            + "master=mysqlmaster:MySQLMasterServer\n"
            f"master_conf={master}\nshadow_conf={local}\n"
            f"local_board=mysqlboard:MySQLUpdateBoard\nlocal_board_conf={json.dumps(board)}\n"
            f"partition_def={folder}/partitions.txt\n"
            f"[applications]\nenabled=true\nserver=socketappserver:SocketAppServer\n"
            f"server_conf={json.dumps(applications)}\n"
            "[web]\nenabled=true\nmodules_config=" + str(folder / "modules.json") + "\n"
        )
        (folder / "modules.json").write_text("{}")
        (folder / "grants.json").write_text(json.dumps(PASSWORDS))
        made = self.command(
            "dynamo.tools.server_conf",
            [str(folder / "dynamo.cfg"), "-g", str(folder / "grants.json"), "-o", str(self.config)],
        )
        assert made.returncode == 0, made.stderr


class Sniffer:
    """Connections between machines, and packets of UDP, as seen where their cables end."""

    def __init__(self, hub: str) -> None:
        program = (
            "import socket, struct\n"
            "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\n"
            "print('ready', flush=True)\n"
            "while True:\n"
            "    p = s.recv(65535)\n"
            "    print(p[:14 + 20 + 20].hex(), flush=True)\n"
        )
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", hub, sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self.flows: set[tuple[str, str, int]] = set()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            packet = bytes.fromhex(line)
            if packet[12:14] != b"\x08\x00" or packet[23] not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
                continue
            ports = struct.unpack("!HH", packet[34:38])
            flags = packet[47] if packet[23] == socket.IPPROTO_TCP else 0x02
            if flags & 0x12 == 0x02:  # SYN without ACK: who connects to whom
                source, target = (socket.inet_ntoa(packet[place : place + 4]) for place in (26, 30))
                self.flows.add((source, target, ports[1]))

    def stop(self) -> set[tuple[str, str, int]]:
        self._process.terminate()
        self._process.wait(60)
        self._thread.join(60)
        return self.flows


@pytest.fixture
def machines() -> Iterator[tuple[str, list[SeparateMachine]]]:
    if not is_installed() and not os.environ.get("CI"):
        pytest.skip("mariadb-server is not installed; `make setup` does that")
    hub = make_hub()
    found = [SeparateMachine(number, hub, replicates=False) for number in range(3)]
    try:
        yield hub, found
    finally:
        for machine in found:
            machine.remove()
        remove_hub(hub)


def test_the_line_master_conf_makes_a_secondary_with_and_without_a_store_over_port_3306_alone(
    tmp_path: Path, machines: tuple[str, list[SeparateMachine]]
) -> None:
    hub, (first, second, third) = machines
    for machine in (first, second, third):
        machine.connect()
    for machine in (first, third):  # the second one has no store, so it needs no database either
        machine.start_database()
        for user, password in PASSWORDS.items():
            rights = "SELECT" if user == "dynamoread" else "ALL PRIVILEGES"
            machine.database.run(
                f"CREATE USER {user} IDENTIFIED BY '{password}'",
                f"GRANT {rights} ON `dynamo%`.* TO {user}",
            )
        machine.database.run(
            f"CREATE USER keeper IDENTIFIED BY 'keeps-{machine.name}'",
            "GRANT ALL PRIVILEGES ON dynamo.* TO keeper",
        )
        machine.database.run("CREATE DATABASE dynamo", "CREATE DATABASE dynamoserver")
    authority = Authority(tmp_path)
    sniffer = Sniffer(hub)
    line = f'{{"host": "{first.address}"}}'
    servers = []
    for number, (machine, has_store) in enumerate(((first, True), (second, False), (third, True))):
        place = tmp_path / f"server{number}"
        place.mkdir()
        with_name = ["unshare", "--uts", "sh", "-c", f'hostname dyn{number}; exec "$@"', "sh"]
        machine.prefix = [*machine.prefix, *with_name]
        servers.append(Installed(place, machine, line, has_store, authority))
        machine.server = servers[-1]
    texts = [json.loads(server.config.read_text())["manager"]["master"]["config"] for server in servers]
    assert texts[0] == texts[1] == texts[2]
    writer = servers[0].script(WRITER, "writer.py")
    servers[0].run("user_auth", "-u", "admin", "-n", "/O=Acme, Inc./CN=admin", "-Y")
    servers[0].run("user_auth", "-u", "admin", "-r", "admin", "-Y")
    assert servers[0].run("exec_auth", "-x", writer, "-t", "writer").returncode == 0
    for server in servers:
        server.start()
    for number, server in enumerate(servers):
        done = server.dynamo("-W", "-t", "writer", f"{writer} Site{number}")
        assert (done.returncode, done.stdout) == (0, f"wrote Site{number}\n"), done.stderr
    reader = servers[0].script(
        "from dynamo.core.executable import inventory\nprint(sorted(inventory.sites.keys()))\n", "reader.py"
    )
    for server in servers:
        assert server.dynamo(reader).stdout == "['Site0', 'Site1', 'Site2']\n"
    for server, has_board in zip(servers, (True, False, True), strict=True):
        log = (server.folder / "log" / "server.log").read_text()
        assert ("of the board" in log) == has_board
        assert ("There is no board here" in log) != has_board
    rows = [json.loads(row) for row in servers[1].dynamo("--servers", "--json").stdout.splitlines()]
    assert {row["name"]: row["store"].split()[0] for row in rows} == {
        "dyn0": "own",
        "dyn1": "of",
        "dyn2": "own",
    }
    for machine in (first, third):
        assert set(machine.database.rows("SELECT name FROM dynamo.sites")) == {
            ("Site0",),
            ("Site1",),
            ("Site2",),
        }
    for server in servers:
        server.stop(signal.SIGTERM)
    flows = sniffer.stop()
    assert flows, "nothing was seen between the machines"
    assert {port for _, _, port in flows} == {3306}
    assert (second.address, first.address, 3306) in flows
    assert (first.address, third.address, 3306) in flows  # to its board
