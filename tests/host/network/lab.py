"""A farm's LAN and nodes on it, all in namespaces of their own: killing the lab's first process ends everything.

```
lab:   lan0 10.99.0.254/16, 2001:db8:99::1/64 (RA), 185.206.122.1/24   DHCP by dnsmasq; 198.18.0.1 is "the internet"
node:  its own network and mount namespace; eth0 is a port of lan0
```
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.shared import PROJECT

GATEWAY, INTERNET, LAN_HOST = "10.99.0.254", "198.18.0.1", "10.99.0.77"
PUBLIC_GATEWAY = "185.206.122.1"
_NODE = (
    "mount -t tmpfs none /run/netns && mount -t tmpfs none /run/wireguard && mount -t sysfs none /sys "
    "&& ip link set dev lo up && exec sleep infinity"
)
_START_LIMIT = 10.0


class Place:
    """A set of namespaces in which programs are run."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        """Of the process that holds the namespaces, as the host sees it."""

    def enter(self, *argv: str) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-p", "--", *argv]

    def run(self, *argv: str, input: str = "", check: bool = True, timeout: float = 30) -> str:
        done = subprocess.run(
            self.enter(*argv), input=input, text=True, capture_output=True, timeout=timeout, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)}: {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def sh(self, script: str, *, check: bool = True) -> str:
        return self.run("sh", "-ec", script, check=check)

    def succeeds(self, *argv: str) -> bool:
        done = subprocess.run(self.enter(*argv), capture_output=True, timeout=30, check=False)
        return done.returncode == 0


class Agent:
    """A Python process inside a node that runs the provisioners; see `agent.py`."""

    def __init__(self, node: Node) -> None:
        self._process = subprocess.Popen(
            node.enter("env", f"PYTHONPATH={PROJECT}", sys.executable, "-m", "tests.host.network.agent"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.call("open", folder=str(node.folder), seed=node.seed.hex())

    def send(self, act: str, **arguments: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps([act, arguments]) + "\n")
        self._process.stdin.flush()

    def call(self, act: str, **arguments: Any) -> Any:
        """Run a function of `acts.py`.  Raises Refused with the name and text of the exception over there."""
        self.send(act, **arguments)
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the agent died in {act}")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"], answer["text"])
        return answer["value"]

    def kill(self) -> None:
        """SIGKILL to the Python process itself, wherever it is."""
        child = _only_child(self._process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child or self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=10)

    def close(self) -> None:
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()


class Refused(Exception):
    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.text = kind, text


class Node(Place):
    """A machine on the LAN."""

    def __init__(self, pid: int, number: int, folder: Path) -> None:
        super().__init__(pid)
        self.number, self.folder = number, folder
        self.seed = bytes([number]) * 32
        self.agent = Agent(self)

    @contextlib.contextmanager
    def udp_port_taken(self, port: int) -> Iterator[None]:
        """Another program has a UDP port for a while."""
        program = (
            f"import socket; s = socket.socket(2, 2); s.bind(('', {port})); print(1, flush=True); input()"
        )
        holder = subprocess.Popen(
            self.enter(sys.executable, "-c", program),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holder.stdin
        assert holder.stdout
        holder.stdout.readline()
        try:
            yield
        finally:
            holder.communicate("\n", timeout=10)

    def restart(self) -> None:
        """Kill the agent and start it anew; what it made stays."""
        self.agent.kill()
        self.agent = Agent(self)

    def wait_for_router(self) -> None:
        """Until the LAN's router advertisement has been heard everywhere, and the node has drawn its conclusions."""
        for show in ("ip addr show dev zos", "ip -n ndmz addr show dev npub6"):
            self.sh(f"until {show} | grep 2001:db8:99 | grep -qv tentative; do sleep 0.1; done")
        self.agent.call("refresh")

    def guest(self, nic: dict[str, Any], name: str) -> Guest:
        return Guest(self, nic, name)

    def state(self) -> str:
        """Everything of this node's network, in a form that can be compared."""
        return self.run(sys.executable, str(Path(__file__).with_name("kernel_state.py")))


def same(now: str, before: str) -> None:
    """Assert that two states of a node are equal; the failure shows the lines that differ."""
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), "before", "now", lineterm="", n=0)
    difference = "\n".join(lines)
    assert not difference, f"the node's network is not as before:\n{difference}"


class Guest:
    """A simulated machine: namespace `name` with `eth0`, joined to its tap by a small process."""

    def __init__(self, node: Node, nic: dict[str, Any], name: str) -> None:
        self._node, self._name = node, name
        node.run("ip", "netns", "add", name)
        self._pump = subprocess.Popen(
            node.enter(sys.executable, str(Path(__file__).with_name("guest_process.py")), nic["tap"], name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._pump.stdout
        assert self._pump.stdout.readline() == "ready\n"
        lines = [
            "sysctl -qw net.ipv6.conf.eth0.accept_ra=0",
            f"ip link set dev eth0 address {nic['mac']} mtu {nic['mtu']}",
            "ip link set dev lo up",
            "ip link set dev eth0 up",
            *(f"ip addr add {address} dev eth0 {_nodad(address)}" for address in nic["addresses"]),
            *(f"ip route add {to} via {via} dev eth0" for to, via in nic["routes"]),
        ]
        for gateway in (nic["gateway4"], nic["gateway6"]):
            if gateway:
                lines.append(
                    f"ip {'-6' if ':' in gateway else '-4'} route add default via {gateway} dev eth0"
                )
        self.sh("\n".join(lines))

    def sh(self, script: str, *, check: bool = True) -> str:
        return self._node.run("ip", "netns", "exec", self._name, "sh", "-ec", script, check=check)

    def pings(self, address: str, *, seconds: float = 3) -> bool:
        """True when one of a few echo requests is answered in time."""
        deadline = time.monotonic() + seconds
        while True:
            command = ["ip", "netns", "exec", self._name, "ping", "-c1", "-W1", "-n", address]
            if self._node.succeeds(*command):
                return True
            if time.monotonic() > deadline:
                return False

    def connects(self, address: str, port: int) -> bool:
        """True when a TCP connection is accepted."""
        script = f"import socket; socket.create_connection(({address!r}, {port}), 1.5).close()"
        return self._node.succeeds("ip", "netns", "exec", self._name, sys.executable, "-c", script)

    def close(self) -> None:
        assert self._pump.stdin
        self._pump.stdin.close()
        self._pump.wait(timeout=10)
        self._node.run("ip", "netns", "del", self._name)


class Lab(Place):
    """The LAN.  Use `open_lab`."""

    def __init__(self, pid: int, folder: Path) -> None:
        super().__init__(pid)
        self.folder = folder
        self.nodes: dict[int, Node] = {}
        self.sh(
            f"""
            mkdir -p /run/netns /run/wireguard
            mount -t tmpfs none /run/netns; mount -t sysfs none /sys
            sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
            for kind in arp ip ip6; do
                f=/proc/sys/net/bridge/bridge-nf-call-${{kind}}tables; [ ! -e $f ] || echo 0 > $f
            done
            ip link set dev lo up
            ip link add name lan0 type bridge
            ip addr add {GATEWAY}/16 dev lan0; ip addr add {LAN_HOST}/16 dev lan0
            ip addr add {PUBLIC_GATEWAY}/24 dev lan0
            ip addr add 2001:db8:99::1/64 dev lan0 nodad
            ip link set dev lan0 up
            ip addr add {INTERNET}/32 dev lo; ip addr add 2001:db8:1::1/128 dev lo nodad
            """
        )
        subprocess.Popen(
            self.enter(
                *("dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--port=0", "--interface=lan0"),
                *("--bind-interfaces", "--no-ping", "--dhcp-authoritative", "--enable-ra", "--user=root"),
                *("--dhcp-range=10.99.1.1,10.99.1.200,1h", f"--dhcp-option=3,{GATEWAY}"),
                *("--dhcp-range=2001:db8:99::,ra-only,64", "--ra-param=lan0,5"),
                *(f"--dhcp-leasefile={folder}/leases", f"--pid-file={folder}/dnsmasq.pid"),
            ),
            stderr=subprocess.DEVNULL,
        )

    def add_node(self, number: int, *, segments: int = 1) -> Node:
        """A machine with one NIC on the LAN, or two (`eth1`, on the same wire)."""
        holder = _start_holder(
            self.enter("unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", _NODE)
        )
        # the host's number of the process is unknown inside the lab, so the link is moved from the host's side
        for segment in range(segments):
            name = f"up{number}-{segment}"
            self.run(
                "ip", "link", "add", "name", name, "type", "veth", "peer", "name", f"x{number}-{segment}"
            )
            self.run("ip", "link", "set", "dev", name, "master", "lan0", "up")
            _move(self.pid, f"x{number}-{segment}", holder, f"eth{segment}")
        node = Node(holder, number, self.folder / f"node{number}")
        self.nodes[number] = node
        return node


@contextlib.contextmanager
def open_lab(folder: Path) -> Iterator[Lab]:
    """Build the LAN; whatever happens inside, nothing is left afterwards."""
    apart = (
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation",
        "private",
    )
    pid = _start_holder(["unshare", *apart, "sleep", "infinity"])
    try:
        lab = Lab(pid, folder)
        yield lab
    finally:
        os.kill(pid, signal.SIGKILL)  # the first process of a PID namespace takes all others with it


def _start_holder(argv: list[str]) -> int:
    """Start a process that holds namespaces and return the pid of its innermost child, once that sleeps."""
    outer = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + _START_LIMIT
    while time.monotonic() < deadline:
        pid = outer.pid
        while (child := _only_child(pid)) is not None:
            pid = child
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
                return pid
        time.sleep(0.02)
    raise AssertionError(f"{argv} did not come up")


def _only_child(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None
    return None


def _move(from_pid: int, link: str, to_pid: int, name: str) -> None:
    subprocess.run(
        [
            "nsenter",
            "-t",
            str(from_pid),
            "-n",
            "ip",
            "link",
            "set",
            "dev",
            link,
            "netns",
            str(to_pid),
            "name",
            name,
        ],
        check=True,
    )


def _nodad(address: str) -> str:
    return "nodad" if ":" in address else ""
