"""Fifty network resources, ours beside the same work done by `ip -batch`, `sysctl`, `nft -f` and `wg`.

python -m tests.bench.bench_network [COUNT]

Both make the same links, addresses, routes, settings and rules, in namespaces that are thrown away afterwards.  The
ratio is ours divided by theirs, taken in one run; below 1 we are faster.
"""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from nacl.bindings import crypto_scalarmult_base

from gridtypes import TwinId, network_id
from provisioners.system import network_resource, nft_network, wireguard
from provisioners.system.derive import ndmz_ipv6, wireguard_address
from provisioners.system.links import open_links
from provisioners.system.network_resource import NetworkResource
from provisioners.system.wireguard_config import Endpoint, Peer, WireGuardConfig

COUNT = 50
MTU = 1500
_INSIDE = "ZOS_BENCH_INSIDE"
_APART = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
_MOUNTS = (
    "mkdir -p /run/netns /run/wireguard; mount -t tmpfs none /run/netns; mount -t tmpfs none /run/wireguard; "
    'mount -t sysfs none /sys; ip link set dev lo up; exec "$@"'
)


@dataclass(frozen=True)
class Row:
    """One line of the table; seconds."""

    name: str
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


def wanted(number: int, *, tunnel: bool) -> NetworkResource:
    subnet = IPv4Network(f"10.50.{number}.0/24")
    return NetworkResource(
        netid=network_id(TwinId(26), f"bench{number}"),
        ip_range=IPv4Network("10.50.0.0/16"),
        subnet=subnet,
        lease=IPv4Address("100.127.1.0") + number,
        mtu=MTU,
        transport=None,
        wireguard=_tunnel(number) if tunnel else None,
    )


def ours(networks: list[NetworkResource], log: Path) -> None:
    for network in networks:
        network_resource.ensure(network, log=log)


def theirs(networks: list[NetworkResource], log: Path) -> None:
    """The same by the usual programs: a batch for the node, one for the namespace, then settings, rules, tunnel."""
    for network in networks:
        home = network_resource.namespace(network.netid)
        run("ip", "-batch", "-", input=outer_batch(network))
        run("ip", "netns", "exec", home, "sysctl", "-qw", *_SETTINGS)
        rules = nft_network.network_resource(
            network.netid,
            network.subnet,
            network.ip_range,
            network.subnet6,
            wireguard_mtu=MTU - wireguard.OVERHEAD,
        )
        run("ip", "netns", "exec", home, "nft", "-f", "-", input=rules)
        run("ip", "-n", home, "-batch", "-", input=inner_batch(network))
        if network.wireguard is not None:
            their_tunnel(network, network.wireguard, log)


def delete_ours(networks: list[NetworkResource]) -> None:
    for network in networks:
        network_resource.delete(network.netid)


def delete_theirs(networks: list[NetworkResource]) -> None:
    for network in networks:
        home, bridge = network_resource.namespace(network.netid), network_resource.bridge(network.netid)
        run("ip", "-batch", "-", input=f"netns del {home}\nlink del dev {bridge}\n")


_SETTINGS = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.send_redirects=0")


def outer_batch(network: NetworkResource) -> str:
    id, home = network.netid, network_resource.namespace(network.netid)
    return f"""\
link add name b-{id} type bridge
link set dev b-{id} up
netns add {home}
link add name h-{id} type veth peer name {home} netns {home}
link set dev h-{id} master b-{id} up
link add name d-{id} type veth peer name public netns {home}
link set dev d-{id} master br-ndmz up
link set dev d-{id} type bridge_slave isolated on
"""


def inner_batch(network: NetworkResource) -> str:
    home = network_resource.namespace(network.netid)
    return f"""\
link set dev lo up
addr add {network.gateway}/24 dev {home}
addr add {network.gateway6} dev {home} nodad
addr add fe80::1/64 dev {home} nodad
link set dev {home} up
addr add {network.lease}/16 dev public
addr add {ndmz_ipv6(network.lease)} dev public nodad
link set dev public up
route replace default via 100.127.0.1 dev public
route replace ::/0 via fe80::1 dev public
"""


def their_tunnel(network: NetworkResource, config: WireGuardConfig, log: Path) -> None:
    name, home = network_resource.tunnel(network.netid), network_resource.namespace(network.netid)
    with log.open("ab") as output:
        subprocess.Popen(["wireguard-go", "-f", name], stdout=output, stderr=output)
    while not (wireguard.CONTROL / f"{name}.sock").exists():
        time.sleep(0.003)
    run("ip", "link", "set", "dev", name, "netns", home)
    peer = config.peers[0]
    allowed = ",".join(str(one) for one in peer.allowed_ips)
    run(
        *("ip", "netns", "exec", home, "wg", "set", name, "listen-port", str(config.listen_port)),
        *("private-key", "/dev/stdin", "peer", peer.public_key, "endpoint", str(peer.endpoint)),
        *("persistent-keepalive", "20", "allowed-ips", allowed),
        input=config.private_key + "\n",
    )
    run(
        *("ip", "-n", home, "-batch", "-"),
        input=f"""\
link set dev {name} mtu {MTU - wireguard.OVERHEAD} up
addr add {wireguard_address(network.subnet)} dev {name}
route replace {network.ip_range} dev {name}
""",
    )


def run(*argv: str, input: str = "") -> None:
    subprocess.run(argv, input=input, text=True, check=True, capture_output=True)


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(count: int = COUNT) -> list[Row]:
    """Both ways, without and with the tunnel.  Only inside namespaces made for it; see `main`."""
    with open_links(None) as links:
        links.ensure_bridge(network_resource.NDMZ_BRIDGE, mac="02:00:00:00:00:01", mtu=MTU)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for tunnel in (False, True):
            networks = [wanted(number, tunnel=tunnel) for number in range(1, count + 1)]
            rows += compare(networks, f"{count}{' with wireguard' if tunnel else ''}", Path(folder) / "log")
    return rows


def compare(networks: list[NetworkResource], what: str, log: Path) -> list[Row]:
    their_make = timed(lambda: theirs(networks, log))
    their_delete = timed(lambda: delete_theirs(networks))
    our_make = timed(lambda: ours(networks, log))
    our_again = timed(lambda: ours(networks, log))
    our_delete = timed(lambda: delete_ours(networks))
    return [
        Row(f"create {what}", our_make, their_make),
        Row(f"ensure again {what}, beside their creation", our_again, their_make),
        Row(f"delete {what}", our_delete, their_delete),
    ]


def main() -> int:
    if os.geteuid() != 0:
        print("bench_network: makes namespaces and links, run it as root", file=sys.stderr)
        return 1
    if _INSIDE not in os.environ:
        command = [
            "unshare",
            *_APART,
            "sh",
            "-c",
            _MOUNTS,
            "sh",
            sys.executable,
            "-m",
            "tests.bench.bench_network",
        ]
        return subprocess.run(
            [*command, *sys.argv[1:]], env=os.environ | {_INSIDE: "1"}, check=False
        ).returncode
    print(f"{'':62} {'ours s':>8} {'theirs s':>8} {'ratio':>6}")
    for row in measure(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT):
        print(f"{row.name:62} {row.ours:8.2f} {row.theirs:8.2f} {row.ratio:6.2f}")
    return 0


def _tunnel(number: int) -> WireGuardConfig:
    key, peer = (hashlib.sha256(f"{role} {number}".encode()).digest() for role in ("node", "peer"))
    return WireGuardConfig(
        base64.b64encode(key).decode(),
        10000 + number,
        (
            Peer(
                base64.b64encode(crypto_scalarmult_base(peer)).decode(),
                frozenset({IPv4Network(f"10.50.{number + 100}.0/24")}),
                Endpoint("10.99.0.99", 7000),
            ),
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
