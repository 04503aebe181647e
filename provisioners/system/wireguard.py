"""WireGuard links: by the kernel where it can, else by a `wireguard-go` process.

The link is made in the *transport* namespace, where its UDP socket then stays for good, and moved into the network's
own namespace: peers reach the node's address, plain text appears only inside (`network-linux.md` §6).  The process
outlives us and is found again by its control socket.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import socket
import struct
import time
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from provisioners.system import netns, netns_program
from provisioners.system.command import CommandFailed
from provisioners.system.links import LinkError, open_links
from provisioners.system.wireguard_config import WireGuardConfig, difference, parse_dump

CONTROL = Path("/run/wireguard")
"""Where wireguard-go makes its control sockets: one name space for all network namespaces of a mount namespace."""

OVERHEAD = 80
"""Bytes that WireGuard adds to a packet, over IPv6 at worst."""

_START_LIMIT = 10.0
"""Seconds that a wireguard-go may take to make its link."""


class PortTaken(Exception):
    """Another program listens on the wanted UDP port."""


@functools.cache
def kernel_has_wireguard() -> bool:
    """Probe once: make a link in a scratch namespace."""

    def probe() -> bool:
        with open_links(None) as links:
            try:
                links.ensure_wireguard("probe")
            except NetlinkError as error:
                if error.code == errno.EOPNOTSUPP:
                    return False
                raise
            return True

    return netns.run_in_scratch(probe)


def port_is_free(port: int, transport: str | None) -> bool:
    """True when the UDP port can be bound in the transport namespace, on both families."""

    def bind() -> bool:
        for family in (socket.AF_INET, socket.AF_INET6):
            with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                try:
                    probe.bind(("", port))
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        return False
                    raise
        return True

    return netns.run_in(transport, bind)


def ensure_link(name: str, *, namespace: str, transport: str | None, log: Path) -> None:
    """Make sure that the link is in `namespace` with its socket in `transport`; adopt it from either.

    Raises CommandFailed when wireguard-go does not come up, LinkError when the name is taken by something else.
    """
    with open_links(namespace) as inside:
        link = inside.find(name)
        if link is not None:
            if link.kind not in ("tun", "wireguard"):
                raise LinkError(
                    f"link {name} in {namespace} is a {link.kind or 'device'}, not a tunnel: remove it"
                )
            if link.kind == "wireguard" or _process_home(name) == netns.inode(transport):
                return
            remove(name)  # its socket is in the wrong namespace: a public configuration came or went
            inside.delete(name)
    with open_links(transport) as outside:
        if outside.find(name) is None:
            if kernel_has_wireguard():
                outside.ensure_wireguard(name)
            else:
                _start(name, transport, log)
        outside.move(outside.get(name), namespace)


def configure(
    name: str, namespace: str, want: WireGuardConfig, before: WireGuardConfig | None = None
) -> None:
    """Apply the difference between what the link knows and `want`, in one `wg set`; then the link may go up.

    Raises PortTaken, CommandFailed.
    """
    have = parse_dump(netns_program.run(["wg", "show", name, "dump"], namespace=namespace))
    arguments = difference(have, want, before)
    if not arguments:
        return
    try:
        netns_program.run(["wg", "set", name, *arguments], namespace=namespace, input=want.private_key + "\n")
    except CommandFailed as error:
        if "in use" in str(error):
            raise PortTaken(f"UDP port {want.listen_port} is in use") from error
        raise


def bring_up(name: str, namespace: str, mtu: int) -> None:
    """Set MTU and state.  Raises PortTaken: the kernel's link finds out only here."""
    with open_links(namespace) as inside:
        try:
            inside.ensure(inside.get(name), mtu=mtu, up=True)
        except NetlinkError as error:
            if error.code == errno.EADDRINUSE:
                raise PortTaken("the UDP port is in use") from error
            raise


def listen_port(name: str, namespace: str) -> int:
    return int(netns_program.run(["wg", "show", name, "listen-port"], namespace=namespace))


def remove(name: str) -> None:
    """End the link's wireguard-go, if it has one, and take its control socket away.  Safe to repeat."""
    pid = _process(name)
    if pid is not None:
        netns_program.end(pid, gently=False)  # it keeps nothing, and takes long to say good-bye
    (CONTROL / f"{name}.sock").unlink(missing_ok=True)


def _start(name: str, transport: str | None, log: Path) -> None:
    control = CONTROL / f"{name}.sock"
    if _process(name) is not None:
        remove(name)  # it runs, but its link is neither inside nor outside
    CONTROL.mkdir(parents=True, exist_ok=True, mode=0o755)
    program = ["wireguard-go", "-f", name]
    netns_program.start(program, namespace=transport, log=log, environment={"LOG_LEVEL": "error"})
    deadline = time.monotonic() + _START_LIMIT
    while _process(name) is None:
        if time.monotonic() > deadline:
            raise CommandFailed(
                program, f"{control} did not appear within {_START_LIMIT:g} s", netns_program.tail(log)
            )
        time.sleep(0.003)


def _process(name: str) -> int | None:
    """Pid of the wireguard-go that answers on the link's control socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as control:
        control.settimeout(2)
        try:
            control.connect(str(CONTROL / f"{name}.sock"))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        credentials = control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid: int = struct.unpack("3i", credentials)[0]
        return pid


def _process_home(name: str) -> int | None:
    """The network namespace (inode) in which the link's process has its socket."""
    pid = _process(name)
    if pid is None:
        return None
    with contextlib.suppress(FileNotFoundError):
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    return None
