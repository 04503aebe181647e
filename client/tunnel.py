"""The user's own way into one of his networks: WireGuard, in a namespace of its own, for the time of one command.

The tunnel's plaintext end lies in a namespace without a name, held by a sleeping process; its UDP socket stays where
`zos` runs.  Everything goes when the command ends: the holder dies with its parent, and with it link and namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TypeVar

from client.errors import ClientError
from client.namespace import enter
from client.network_plan import wireguard_address
from client.wireguard_key import WireGuardKey
from gridtypes.workloads import Network

T = TypeVar("T")
START_TIMEOUT_S = 10.0
KEEPALIVE_S = 20


@dataclass(frozen=True, slots=True)
class TunnelPeer:
    """A node's part of the network, as the user's machine reaches it."""

    public_key: str
    endpoint: str
    allowed_ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TunnelPlan:
    """All that a tunnel needs."""

    key: WireGuardKey
    subnet: str
    """The user's own subnet, in CIDR form."""
    ip_range: str
    peers: tuple[TunnelPeer, ...]

    @property
    def configuration(self) -> str:
        """As `wg setconf` reads it.  Holds the secret key."""
        lines = ["[Interface]", f"PrivateKey = {self.key.private}"]
        for peer in self.peers:
            lines += [
                "[Peer]",
                f"PublicKey = {peer.public_key}",
                f"AllowedIPs = {', '.join(peer.allowed_ips)}",
                f"Endpoint = {peer.endpoint}",
                f"PersistentKeepalive = {KEEPALIVE_S}",
            ]
        return "\n".join(lines) + "\n"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of the user's end: the WireGuard one and the first of his subnet."""
        subnet = IPv4Network(self.subnet)
        return f"{wireguard_address(subnet)}/16", f"{subnet.network_address + 1}/{subnet.prefixlen}"


def plan(network: Network, key: WireGuardKey, parts: list[tuple[Network, str]]) -> TunnelPlan:
    """From the network as the nodes have it; `parts` are (a node's part, address of the node).

    Raises ClientError when the network knows no peer with the user's key.
    """
    own = next((peer for peer in network.peers if peer.wireguard_public_key == key.public), None)
    if own is None or own.subnet is None or network.ip_range is None:
        raise ClientError("this network was made without access for your key: `zos update` it once")
    peers = tuple(
        TunnelPeer(
            WireGuardKey.from_private(part.wireguard_private_key).public,
            f"{host}:{part.wireguard_listen_port}",
            (str(_subnet(part)), f"{wireguard_address(_subnet(part))}/32"),
        )
        for part, host in parts
        if host and part.subnet is not None
    )
    if not peers:
        raise ClientError("no node of this network can be reached from here")
    return TunnelPlan(key, str(own.subnet.network), str(network.ip_range.network), peers)


def _subnet(part: Network) -> IPv4Network:
    return IPv4Network(str(part.subnet), strict=False)


class Tunnel:
    """An open tunnel: sockets made in it reach the network."""

    def __init__(self, holder: int) -> None:
        self._holder = holder

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a fresh thread inside the tunnel's namespace; sockets that it makes stay there."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def inside() -> None:
            try:
                enter(f"/proc/{self._holder}/ns/net")
                result = work()
            except BaseException as problem:
                loop.call_soon_threadsafe(future.set_exception, problem)
            else:
                loop.call_soon_threadsafe(future.set_result, result)

        threading.Thread(target=inside, daemon=True).start()
        return await future

    def command(self, *words: str) -> tuple[str, ...]:
        """`words`, to be run inside."""
        return ("nsenter", f"--net=/proc/{self._holder}/ns/net", "--", *words)


@contextlib.asynccontextmanager
async def open_tunnel(wanted: TunnelPlan) -> AsyncIterator[Tunnel]:
    """Open a tunnel for the time of the context.  Needs root.  Raises ClientError."""
    if os.geteuid() != 0:
        raise ClientError("a tunnel needs root; or set up WireGuard yourself with the network's peers")
    name = f"zos{secrets.token_hex(4)}"
    holder = await asyncio.create_subprocess_exec(
        "setpriv", "--pdeathsig", "KILL", "--", "unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    helper: asyncio.subprocess.Process | None = None
    try:
        assert holder.stdout is not None
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await holder.stdout.readline()
        except TimeoutError:
            raise ClientError(
                f"the tunnel's namespace was not ready within {START_TIMEOUT_S:.0f} s"
            ) from None
        helper = await _make_link(name)
        await _run("ip", "link", "set", "dev", name, "netns", str(holder.pid))
        tunnel = Tunnel(holder.pid)
        if helper is None:
            await _run(*tunnel.command("wg", "setconf", name, "/dev/stdin"), stdin=wanted.configuration)
        else:
            await _run("wg", "setconf", name, "/dev/stdin", stdin=wanted.configuration)
        for address in wanted.addresses:
            await _run(*tunnel.command("ip", "addr", "add", address, "dev", name))
        await _run(*tunnel.command("ip", "link", "set", "dev", "lo", "up"))
        await _run(*tunnel.command("ip", "link", "set", "dev", name, "mtu", "1420", "up"))
        await _run(*tunnel.command("ip", "route", "replace", wanted.ip_range, "dev", name))
        yield tunnel
    finally:
        for process in (helper, holder):
            if process is not None and process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()


async def _make_link(name: str) -> asyncio.subprocess.Process | None:
    """A WireGuard link: the kernel's (None), or one of `wireguard-go`, which has to be ended."""
    try:
        await _run("ip", "link", "add", "name", name, "type", "wireguard")
        return None
    except ClientError:
        pass  # no such kind of link in this kernel
    try:
        helper = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig", "KILL", "--", "wireguard-go", "-f", name,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError:
        raise ClientError("no WireGuard in this kernel, and no wireguard-go: install wireguard-go") from None
    socket = f"/run/wireguard/{name}.sock"
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while not os.path.exists(socket):
                if helper.returncode is not None:
                    raise ClientError(f"wireguard-go ended with status {helper.returncode}")
                await asyncio.sleep(0.02)
    except BaseException as problem:
        if helper.returncode is None:
            helper.kill()
        await helper.wait()
        if isinstance(problem, TimeoutError):
            raise ClientError(f"wireguard-go was not ready within {START_TIMEOUT_S:.0f} s") from None
        raise
    return helper


async def _run(*command: str, stdin: str | None = None) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            output, _ = await process.communicate(None if stdin is None else stdin.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ClientError(f"`{' '.join(command)}` took more than {START_TIMEOUT_S:.0f} s") from None
    if process.returncode != 0:
        raise ClientError(f"`{' '.join(command)}` failed: {output.decode(errors='replace').strip()[:300]}")
