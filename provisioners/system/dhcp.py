"""A DHCP client for one link: busybox udhcpc, which outlives us and is found again by its command line."""

from __future__ import annotations

import socket
import time
from importlib import resources
from ipaddress import IPv4Interface
from pathlib import Path

from provisioners.system import netns_program
from provisioners.system.command import CommandFailed
from provisioners.system.links import open_links

_SCRIPT = "udhcpc.sh"
_POLL = 0.1


def ensure_client(link: str, *, namespace: str | None, run: Path, log: Path) -> None:
    """Start a client for the link unless one runs.  `run` takes its script and its mark."""
    if netns_program.find("udhcpc", link, namespace=namespace) is not None:
        return
    script = run / _SCRIPT
    text = resources.files("provisioners.system").joinpath(_SCRIPT).read_text()
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not script.exists() or script.read_text() != text:
        fresh = script.with_suffix(".new")
        fresh.write_text(text)
        fresh.chmod(0o700)
        fresh.rename(script)
    netns_program.start(
        ["busybox", "udhcpc", "-i", link, "-f", "-s", str(script), "-t", "5", "-T", "2", "-A", "5"],
        namespace=namespace,
        log=log,
        environment={"RUN_FILE": str(run / f"udhcpc-{link}")},
    )


def stop_client(link: str, *, namespace: str | None) -> None:
    """Safe to repeat."""
    pid = netns_program.find("udhcpc", link, namespace=namespace)
    if pid is not None:
        netns_program.end(pid)


def wait_for_address(link: str, *, namespace: str | None, timeout: float, log: Path) -> IPv4Interface:
    """Wait until the link has an IPv4 address and a default route through it.

    Raises CommandFailed, with what the client printed last.
    """
    deadline = time.monotonic() + timeout
    while True:
        with open_links(namespace) as links:
            device = links.get(link)
            addresses = [a for a in links.addresses(device) if isinstance(a, IPv4Interface)]
            if addresses and links.default_gateway(socket.AF_INET, device):
                return min(addresses)
        if time.monotonic() > deadline:
            raise CommandFailed(
                ["udhcpc", "-i", link],
                f"no lease with a router within {timeout:g} s",
                netns_program.tail(log),
            )
        time.sleep(_POLL)
