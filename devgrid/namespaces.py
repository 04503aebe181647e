"""The grid's network: the farm's switch, "the internet", and one network and mount namespace for each node.

Everything here runs inside the supervisor's own namespaces, which are new at every start, so nothing has to be
looked for first; what the supervisor's death does not remove by itself is not made here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from devgrid import layout
from devgrid.layout import GridLayout, NodeLayout

COMMAND_TIMEOUT_S = 20.0


class CommandFailed(Exception):
    """A command of the set-up failed; the message holds it and what it printed."""


async def run(*command: str, stdin: str | None = None) -> str:
    """Run a command and return what it printed.  Raises CommandFailed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            output, _ = await process.communicate(stdin.encode() if stdin is not None else None)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CommandFailed(f"`{' '.join(command)}` took more than {COMMAND_TIMEOUT_S:.0f} s") from None
    text = output.decode(errors="replace").strip()
    if process.returncode != 0:
        raise CommandFailed(f"`{' '.join(command)}` ended with status {process.returncode}: {text}")
    return text


async def ip_batch(lines: Sequence[str], namespace: str | None = None) -> None:
    """Run several `ip` commands in one process; the first that fails ends the batch."""
    prefix = ("ip", "-n", namespace) if namespace else ("ip",)
    await run(*prefix, "-batch", "-", stdin="\n".join(lines) + "\n")


def lan_commands() -> list[str]:
    """`ip` commands that make the farm's switch with its gateway addresses."""
    bridge = layout.LAN_BRIDGE
    return [
        "link set dev lo up",
        f"link add name {bridge} address 02:00:63:00:00:fe type bridge forward_delay 0",
        f"link set dev {bridge} up",
        f"addr add {layout.LAN_GATEWAY} dev {bridge}",
        f"addr add {layout.PUBLIC_GATEWAY} dev {bridge}",
        f"addr add {next(layout.LAN_PREFIX6.hosts())}/64 dev {bridge} nodad",
    ]


async def make_lan() -> None:
    """The switch, forwarding, and the namespace "internet" behind the gateway."""
    await ip_batch(lan_commands())
    await run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    await _make_edge(
        layout.INTERNET_NAMESPACE, outer="toinet", bridge=None, address=str(layout.INTERNET_ADDRESS)
    )
    await ip_batch([f"addr add {layout.INTERNET_GATEWAY} dev toinet"])
    await ip_batch([f"route add default via {layout.INTERNET_GATEWAY.ip}"], layout.INTERNET_NAMESPACE)


async def make_client() -> None:
    """The namespace of the user's own machine, on the farm's switch."""
    await _make_edge(
        layout.CLIENT_NAMESPACE,
        outer="toclient",
        bridge=layout.LAN_BRIDGE,
        address=str(layout.CLIENT_ADDRESS),
    )
    await ip_batch([f"route add default via {layout.LAN_GATEWAY.ip}"], layout.CLIENT_NAMESPACE)


async def _make_edge(namespace: str, *, outer: str, bridge: str | None, address: str) -> None:
    await ip_batch([f"netns add {namespace}"])
    await ip_batch([f"link add name {outer} type veth peer name eth0 netns {namespace}"])
    await ip_batch(
        [*([f"link set dev {outer} master {bridge}"] if bridge else []), f"link set dev {outer} up"]
    )
    await ip_batch(["link set dev lo up", "link set dev eth0 up", f"addr add {address} dev eth0"], namespace)


HOLDER_SCRIPT = """
set -e
group="$2"
mkdir -p /run/keep/cgroup
mount --rbind /sys/fs/cgroup /run/keep/cgroup
mount -t sysfs sys /sys
mount --rbind /run/keep/cgroup /sys/fs/cgroup
own() {
  mkdir -p "$1/$group"
  mount --bind "$1/$group" "$1"
}
cgroup=/sys/fs/cgroup
if [ -e $cgroup/cgroup.controllers ]; then
  echo "+memory +cpu" > $cgroup/cgroup.subtree_control
  mkdir -p "$cgroup/${group%/*}"
  echo "+memory +cpu" > "$cgroup/${group%/*}/cgroup.subtree_control"
  own $cgroup
else
  for controller in memory cpu; do
    [ ! -d $cgroup/$controller ] || own $cgroup/$controller
  done
fi
mount -t tmpfs -o mode=755,size=64m run /run
mkdir -p /run/netns /run/wireguard /run/lock /run/zos
ip link set dev lo up
sysctl -q -w net.ipv4.ip_forward=1
hostname "$1"
echo ready
exec sleep infinity
"""
"""A node's view of the machine: its own links, its own `/run`, a sysfs that shows those links, and as the root of
the control groups a group of its own.  Arguments: host name, group."""


@dataclass(frozen=True, slots=True)
class NodeNamespace:
    """A node's namespaces, held by a sleeping process."""

    node: NodeLayout
    holder: asyncio.subprocess.Process

    def command(self, *command: str) -> tuple[str, ...]:
        """`command`, to be run inside."""
        target = f"/proc/{self.holder.pid}/ns"
        return (
            "nsenter",
            f"--net={target}/net",
            f"--mount={target}/mnt",
            f"--uts={target}/uts",
            "--",
            *command,
        )

    def path(self, inside: str) -> str:
        """A path of the node's file system, as the supervisor sees it."""
        return f"/proc/{self.holder.pid}/root{inside}"


async def make_node(node: NodeLayout) -> NodeNamespace:
    """Make a node's namespaces and plug it into the switch as `eth0`.  Raises CommandFailed."""
    holder = await asyncio.create_subprocess_exec(
        "unshare", "--net", "--mount", "--uts", "--propagation", "private",
        "sh", "-c", HOLDER_SCRIPT, "holder", node.name, f"{node.grid.cgroup}/{node.name}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    assert holder.stdout is not None
    async with asyncio.timeout(COMMAND_TIMEOUT_S):
        line = await holder.stdout.readline()
    if line.strip() != b"ready":
        rest = await holder.stdout.read()
        raise CommandFailed(f"namespaces of {node.name}: {(line + rest).decode(errors='replace').strip()}")
    await ip_batch(
        [
            f"link add name {node.uplink} type veth peer name eth0 netns {holder.pid}",
            f"link set dev {node.uplink} master {layout.LAN_BRIDGE}",
            f"link set dev {node.uplink} up",
        ]
    )
    return NodeNamespace(node, holder)


def dnsmasq_command(grid: GridLayout) -> tuple[str, ...]:
    """DHCP and router advertisements on the farm's LAN; no DNS.  `zosgrid` is only a lease file's name."""
    return (
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        f"--interface={layout.LAN_BRIDGE}",
        "--bind-interfaces",
        "--except-interface=lo",
        f"--dhcp-range={layout.DHCP_FIRST},{layout.DHCP_LAST},255.255.0.0,12h",
        f"--dhcp-range={layout.LAN_PREFIX6.network_address},ra-only,64",
        "--enable-ra",
        "--dhcp-authoritative",
        "--no-ping",  # nobody else is on this LAN; the check costs seconds a lease
        f"--dhcp-option=option:router,{layout.LAN_GATEWAY.ip}",
        "--dhcp-option=option:dns-server",
        f"--dhcp-leasefile={grid.run}/dnsmasq.leases",
        "--user=root",
        "--pid-file=",
        "--log-facility=-",
    )
