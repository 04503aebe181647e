"""A network of its own for a fleet: a name space for every server, with a cable that can be pulled out.

The switch lies in a name space too, so that no rule of this machine's firewall is about it; the machine itself is
plugged in as the last address.  Needs root and iproute2.
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import shutil
import subprocess

from dynamo.dataformat import OperationalError

LIMIT_S = 60.0
"""How long one command about the network may take, in seconds."""
HOST = 254
"""Last part of the address of the machine itself."""
INNER = "eth0"
"""Name of the link inside a name space."""


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if check and done.returncode != 0:
        raise OperationalError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done


def why_not() -> str:
    """Why this machine can have no such network; empty when it can, which is tried."""
    if os.geteuid() != 0:
        return "only root may make name spaces"
    if shutil.which("ip") is None or shutil.which("nsenter") is None:
        return "iproute2 or util-linux is not installed"
    probe = f"dynf{secrets.token_hex(3)}"
    try:
        _run("ip", "netns", "add", probe)
        _run("ip", "-n", probe, "link", "add", "br0", "type", "bridge")
    except OperationalError as error:
        return str(error)
    finally:
        _run("ip", "netns", "delete", probe, check=False)
    return ""


def free_net() -> str:
    """The first three parts of addresses that no route of this machine is about."""
    routes = json.loads(_run("ip", "-j", "-4", "route", "show", "table", "all").stdout)
    taken = [
        ipaddress.ip_network(route["dst"], strict=False)
        for route in routes
        if route.get("dst", "default") != "default"
    ]
    for _ in range(100):
        net = f"10.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}"
        if not any(ipaddress.ip_network(f"{net}.0/24").overlaps(other) for other in taken):
            return net
    raise OperationalError("This machine has routes to all of 10.0.0.0/8; use --loopback")


class Network:
    """The switch `hub` (the name of its name space and of the machine's link to it), and servers plugged into it."""

    def __init__(self, hub: str, net: str) -> None:
        """`net` is the first three parts of all addresses."""
        self._hub = hub
        self._net = net

    def space(self, number: int) -> str:
        """The name space of a server."""
        return f"{self._hub}-{number}"

    def prefix(self, number: int) -> list[str]:
        """What a command begins with that runs on the network of a server.

        `ip netns exec` would mount /sys anew, where control groups are then missing.
        """
        return ["nsenter", f"--net=/run/netns/{self.space(number)}"]

    def ensure(self, servers: int) -> None:
        """Make what is missing.  Raises OperationalError."""
        spaces = self._spaces()
        if self._hub not in spaces:
            _run("ip", "netns", "add", self._hub)
        if not self._has_link(self._hub, "br0"):
            _run("ip", "-n", self._hub, "link", "add", "br0", "type", "bridge")
        _run("ip", "-n", self._hub, "link", "set", "br0", "up")
        if not self._has_link(None, self._hub):
            _run("ip", "link", "add", self._hub, "type", "veth", "peer", "name", "host", "netns", self._hub)
        _run("ip", "-n", self._hub, "link", "set", "host", "master", "br0", "up")
        _run("ip", "address", "replace", f"{self._net}.{HOST}/24", "dev", self._hub)
        _run("ip", "link", "set", self._hub, "up")
        for number in range(servers):
            self._ensure_server(number, self.space(number) in spaces)

    def _ensure_server(self, number: int, has_space: bool) -> None:
        space, plug = self.space(number), f"p{number}"
        if not has_space:
            _run("ip", "netns", "add", space)
        _run("ip", "-n", space, "link", "set", "lo", "up")
        if not self._has_link(self._hub, plug):
            inner = ("name", INNER, "netns", space)
            _run("ip", "-n", self._hub, "link", "add", plug, "type", "veth", "peer", *inner)
        _run("ip", "-n", self._hub, "link", "set", plug, "master", "br0", "up")
        _run("ip", "-n", space, "address", "replace", f"{self._net}.{number + 1}/24", "dev", INNER)
        _run("ip", "-n", space, "link", "set", INNER, "up")

    def plug(self, number: int, is_in: bool) -> None:
        """Put the cable of a server in, or pull it out.  Raises OperationalError."""
        _run("ip", "-n", self._hub, "link", "set", f"p{number}", "up" if is_in else "down")

    def remove(self, servers: int) -> None:
        """Remove what is there; nothing may run on it any more."""
        spaces = self._spaces()
        for space in [self.space(number) for number in range(servers)] + [self._hub]:
            if space in spaces:
                _run("ip", "netns", "delete", space)
        if self._has_link(None, self._hub):  # goes with its other end, but not at once
            _run("ip", "link", "delete", self._hub, check=False)

    @staticmethod
    def _spaces() -> set[str]:
        return {line.split()[0] for line in _run("ip", "netns", "list").stdout.splitlines() if line.strip()}

    @staticmethod
    def _has_link(space: str | None, name: str) -> bool:
        where = [] if space is None else ["-n", space]
        return _run("ip", *where, "link", "show", name, check=False).returncode == 0
