"""The node's yggdrasil daemon: its configuration, and the process that outlives us (`network.md` §6.1)."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from nacl.bindings import crypto_sign_seed_keypair

from provisioners.system import netns, netns_program
from provisioners.system.command import CommandFailed
from provisioners.system.derive import node_identity
from provisioners.system.links import open_links

LINK = "ygg0"
LINK_MTU = 65535
TCP_PORT, TLS_PORT, MULTICAST_PORT = 9943, 9944, 9945
_START_LIMIT = 20.0
"""Seconds until the daemon's link has to be there."""


def configuration(
    seed: bytes, *, peers: tuple[str, ...], multicast_links: tuple[str, ...], admin_socket: Path
) -> str:
    """The daemon's configuration file as JSON.  Pure.

    `seed` is the node's ed25519 seed, so its address follows from the node's key.  Multicast is limited to named
    links: on `.*` the daemon would peer with tenants' networks.
    """
    public, secret = crypto_sign_seed_keypair(seed)
    return json.dumps(
        {
            "PrivateKey": secret.hex(),
            "PublicKey": public.hex(),
            "IfName": LINK,
            "IfMTU": LINK_MTU,
            "NodeInfo": {"name": node_identity(public)[:6]},
            "Listen": [f"tcp://[::]:{TCP_PORT}", f"tls://[::]:{TLS_PORT}"],
            "AdminListen": f"unix://{admin_socket}",
            "MulticastInterfaces": [
                {"Regex": f"^{link}$", "Beacon": True, "Listen": True, "Port": MULTICAST_PORT}
                for link in multicast_links
            ],
            "Peers": list(peers),
        },
        indent=1,
    )


def ensure(text: str, *, file: Path, namespace: str, log: Path) -> None:
    """Let the daemon run in the namespace with this configuration; restarts it only when the text changed.

    Raises CommandFailed with the daemon's last lines.
    """
    pid = netns_program.find("yggdrasil", str(file), namespace=namespace)
    changed = _write(file, text)
    if pid is not None and changed:
        netns_program.end(pid)
        pid = None
    command = ["yggdrasil", "-loglevel", "error", "-useconffile", str(file)]
    if pid is None:
        netns_program.start(command, namespace=namespace, log=log)
    deadline = time.monotonic() + _START_LIMIT
    while not _ready(namespace):
        if time.monotonic() > deadline:
            raise CommandFailed(command, f"no {LINK} within {_START_LIMIT:g} s", netns_program.tail(log))
        time.sleep(0.01)


def stop(*, file: Path, namespace: str) -> None:
    """Safe to repeat, also when the namespace is gone."""
    if netns.exists(namespace):
        pid = netns_program.find("yggdrasil", str(file), namespace=namespace)
        if pid is not None:
            netns_program.end(pid)


def _ready(namespace: str) -> bool:
    with open_links(namespace) as links:
        link = links.find(LINK)
        return link is not None and link.up and bool(links.addresses(link))


def _write(file: Path, text: str) -> bool:
    """Store the configuration, readable by root only.  Returns True when it changed."""
    if file.exists() and file.read_text() == text:
        return False
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as target:
        target.write(text)
        target.flush()
        os.fsync(target.fileno())
    fresh.rename(file)
    return True
