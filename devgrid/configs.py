"""The configuration file of every part of a grid, as text.  Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from devgrid import layout
from devgrid.front import names
from devgrid.layout import GIB, GridLayout, NodeLayout

Table = Mapping[str, Any]

FEATURES = ("ip", "ipv4", "network", "zmachine", "zmount", "yggdrasil", "wireguard")
"""What the grid's nodes offer, as a grid proxy tells it."""
NULL_DISK = 200 * GIB
REPORT_RETRY_S = 10
COMPARE_PERIOD_S = 60
"""A development grid looks at the chain more often than a real node."""


def toml(sections: Mapping[str, Table]) -> str:
    """TOML of sections whose values are texts, numbers, truth values, lists, paths and flat tables."""
    lines: list[str] = []
    for name, table in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_value(value)}" for key, value in table.items()]
        lines.append("")
    return "\n".join(lines)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str() | Path():
            return json.dumps(str(value))
        case Mapping():
            return "{ " + ", ".join(f"{json.dumps(str(k))} = {_value(v)}" for k, v in value.items()) + " }"
        case Sequence():
            return "[" + ", ".join(_value(each) for each in value) + "]"
    raise TypeError(f"no TOML for {value!r}")


def zosd(
    node: NodeLayout,
    *,
    farm: int,
    disks: Sequence[tuple[Path, str]],
    guest: Path,
    memory: int,
    processors: int,
) -> str:
    """`zosd`'s configuration; `disks` are (device, class), `guest` is the folder of kernel and initrd."""
    grid = node.grid
    sections: dict[str, Table] = {
        "node": {
            "key": node.key,
            "farm": farm,
            "null": grid.null,
            "country": "Belgium",
            "city": "Gent",
            "longitude": "3.72",
            "latitude": "51.05",
        },
        "paths": {
            "state": node.folder / "state",
            "cache": node.folder / "cache",
            "run": node.run,
            "log": node.folder / "log",
        },
        "bus": {"redis": f"unix://{node.redis}"},
        "chain": {"urls": [grid.chain_url], "activation": grid.activation_url},
        "reports": {"retry": REPORT_RETRY_S, "compare_period": COMPARE_PERIOD_S},
        "capacity": {"cru": processors, "mru": memory},
    }
    if grid.null:
        sections["capacity"] = {**sections["capacity"], "sru": 2 * NULL_DISK, "hru": NULL_DISK}
        return toml(sections)
    sections["network"] = {
        "uplink": "eth0",
        "yggdrasil_peers": [overlay_peer()],
        "yggdrasil_multicast": False,
    }
    sections["storage"] = {
        "disks": [device for device, _ in disks],
        "classes": {str(device): kind for device, kind in disks},
    }
    sections["images"] = {"allow_hosts": [str(layout.LAN_GATEWAY.ip)]}
    sections["machine"] = {"kernel": guest / "vmlinuz", "initrd": guest / "initrd"}
    return toml(sections)


def node_peer(node: NodeLayout, addresses: Mapping[int, str]) -> str:
    """`rmb-peer` of a node: on the overlay address inside `ndmz` and on the grid's relay, or on loopback."""
    text = _peer(node.grid, node.key, node.redis, addresses, "ndmz", node.bus_port)
    if node.grid.null:
        return text
    return text + toml({"relays": {"urls": [f"ws://{layout.RELAY_HOST}"]}})


def relay_arguments(grid: GridLayout) -> tuple[str, ...]:
    """Arguments of `rmb-relay`."""
    return (
        "--domain", layout.RELAY_HOST,
        "--listen", f"{layout.LAN_GATEWAY.ip}:{layout.RELAY_PORT}",
        "--substrate", grid.chain_url,
        "--store", str(grid.folder / "relay/messages.db"),
    )  # fmt: skip


def front_arguments(grid: GridLayout) -> tuple[str, ...]:
    """Arguments of the front."""
    gateway = layout.LAN_GATEWAY.ip
    return (
        "--certificates", str(grid.front),
        "--listen", str(gateway),
        "--port", str(layout.FRONT_PORT),
        "--relay", f"{gateway}:{layout.RELAY_PORT}",
        "--relay-name", layout.RELAY_HOST,
        "--chain", f"{grid.chain_host}:{layout.CHAIN_PORT}",
        "--activation", grid.activation_url,
        "--features", ",".join(FEATURES),
        "--socket", str(grid.run / "front.sock"),
    )  # fmt: skip


def hosts(before: str) -> str:
    """The grid's `/etc/hosts`: the host's own, and the names of its services."""
    return f"{before.rstrip()}\n{names.hosts_line(str(layout.LAN_GATEWAY.ip))}\n"


def client_peer(grid: GridLayout, addresses: Mapping[int, str]) -> str:
    """`rmb-peer` of the user."""
    return _peer(grid, grid.user_key, grid.client_redis, addresses, "", client_bus_port())


def client_bus_port() -> int:
    """Port on loopback where the user's peer listens in a grid without namespaces."""
    return 18051


def _peer(
    grid: GridLayout, key: Path, redis: Path, addresses: Mapping[int, str], namespace: str, port: int
) -> str:
    listen: Table = (
        {"addresses": [f"127.0.0.1:{port}"]} if grid.null else {"overlay": True, "namespace": namespace}
    )
    return toml(
        {
            "redis": {"url": f"unix://{redis}"},
            "identity": {"key_file": key},
            "chain": {"urls": [grid.chain_url]},
            "twins": {"addresses": {str(twin): address for twin, address in addresses.items()}},
            "listen": listen,
        }
    )


def redis_command(socket: Path, folder: Path) -> tuple[str, ...]:
    """A Redis on a unix socket that survives being killed: what was pushed is in its append-only file.

    The bus keeps accepted messages in it, so every write is synced before it is answered.
    """
    return (
        "redis-server",
        "--port", "0",
        "--unixsocket", str(socket),
        "--unixsocketperm", "600",
        "--dir", str(folder),
        "--appendonly", "yes",
        "--appendfsync", "always",
        "--save", "",
        "--daemonize", "no",
        "--maxmemory-policy", "noeviction",
        "--loglevel", "warning",
    )  # fmt: skip


def overlay_peer() -> str:
    """Where every Yggdrasil of the grid connects to."""
    return f"tcp://{layout.LAN_GATEWAY.ip}:{layout.YGGDRASIL_PORT}"
