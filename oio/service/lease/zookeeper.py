"""Leases in ZooKeeper, for services on many machines.

Below `/hc/ns/<namespace>/el/<type>` the holder of a lease has an ephemeral sequential node `<KEY>-<10 digits>` with its
address as data, as OpenIO SDS lays elections out; KEY is the upper-case SHA-256 of the lease's key. The lowest node is
the holder's. Nobody queues: a node is only made where there is none, so that a token is always fresh. A token is the
transaction id that made the node, plus a number that was fixed when the namespace's tree was made: a tree that was
deleted does not begin below the tokens of its predecessor.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NodeExistsError, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError

from oio.service.lease.base import Lease, LeaseError, LeaseStore, address_of
from oio.service.lease.sqlite import clock

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_TTL: Final = 20.0
"""Longest session in seconds: half of what a server with default settings allows, so that it never shortens it."""
ANSWER_TIMEOUT: Final = 2.0
"""Seconds that ZooKeeper has for one request."""
CONNECT_TIMEOUT: Final = 5.0
ATTEMPTS: Final = 6


class ZookeeperLeases(LeaseStore):
    """The store at the servers `hosts` (`host:port,host:port`), with sessions of `ttl` seconds.

    It connects by itself and again when the connection is lost, for as long as it takes. ValueError for hosts or a
    time that cannot be used.
    """

    def __init__(self, hosts: str, namespace: str, ttl: float) -> None:
        if ";" in hosts or not hosts:
            raise ValueError(
                f"zookeeper {hosts!r}: one ensemble is expected, its members separated by commas"
            )
        if not 0 < ttl <= MAX_TTL:
            raise ValueError(f"lease time {ttl:g} s: up to {MAX_TTL:g} s are possible with ZooKeeper")
        self._hosts = hosts
        self._root = f"/hc/ns/{namespace}"
        self._ttl = ttl
        self._client: KazooClient | None = None
        self._first = -1
        self._lock = threading.Lock()
        self._closed = False

    async def acquire(self, key: str, holder: str, ttl: float, above: int = 0) -> Lease:
        return await self._run(lambda client: self._acquire(client, key, holder, above))

    async def renew(self, lease: Lease, ttl: float) -> Lease | None:
        def act(client: KazooClient) -> Lease | None:
            asked = clock()
            for name in self._nodes(client, lease.key):
                stat = self._stat(client, lease.key, name)
                if stat is None:
                    continue
                mine = self._is_mine(client, stat) and self._token(client, stat) == lease.token
                return Lease(lease.key, lease.holder, lease.token, asked + self._ttl) if mine else None
            return None

        return await self._run(act)

    async def release(self, lease: Lease) -> None:
        def act(client: KazooClient) -> None:
            for name in self._nodes(client, lease.key):
                stat = self._stat(client, lease.key, name)
                if stat is not None and self._is_mine(client, stat):
                    self._delete(client, lease.key, name)

        await self._run(act)

    async def close(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._stop)

    def _acquire(self, client: KazooClient, key: str, holder: str, above: int) -> Lease:
        address = address_of(holder)
        for _ in range(ATTEMPTS):
            asked = clock()
            nodes = self._nodes(client, key)
            if not nodes:
                path = f"{self._folder(key)}/{_name(key)}-"
                self._wait(
                    client.create_async(path, address.encode(), ephemeral=True, sequence=True, makepath=True)
                )
                continue
            try:
                data, stat = self._wait(client.get_async(f"{self._folder(key)}/{nodes[0]}"))
            except NoNodeError:
                continue
            token, found = self._token(client, stat), data.decode("utf-8", "replace")
            if self._is_mine(client, stat):
                if token > above:
                    return Lease(key, holder, token, asked + self._ttl)
                self._delete(client, key, nodes[0])
                if stat.czxid + self._first <= above - (1 << 20):
                    raise LeaseError(
                        f"tokens of {self._hosts} are below one that was promised ({above}): the servers lost their "
                        f"data; set {self._root}/first-token to a number above it"
                    )
            elif found == address:
                # An earlier process of this address: it is gone, or this one could not listen there.
                self._delete(client, key, nodes[0])
            else:
                return Lease(key, found, token, asked + self._ttl)
        raise LeaseError(f"{key}: the nodes at {self._hosts} change faster than they can be read")

    # -- the tree

    def _folder(self, key: str) -> str:
        return f"{self._root}/el/{key.partition('@')[0]}"

    def _nodes(self, client: KazooClient, key: str) -> list[str]:
        """Nodes of a lease, the holder's first."""
        try:
            names: list[str] = self._wait(client.get_children_async(self._folder(key)))
        except NoNodeError:
            return []
        mine = [name for name in names if name.startswith(f"{_name(key)}-")]
        return sorted(mine, key=lambda name: name[-10:])

    def _stat(self, client: KazooClient, key: str, name: str) -> Any:
        return self._wait(client.exists_async(f"{self._folder(key)}/{name}"))

    def _delete(self, client: KazooClient, key: str, name: str) -> None:
        try:
            self._wait(client.delete_async(f"{self._folder(key)}/{name}"))
        except NoNodeError:
            return

    def _token(self, client: KazooClient, stat: Any) -> int:
        if self._first < 0:
            path = f"{self._root}/first-token"
            try:
                first = str(time.time_ns() // 1000).encode()
                self._wait(client.create_async(path, first, makepath=True))
            except NodeExistsError:
                pass
            self._first = int(self._wait(client.get_async(path))[0])
        return self._first + int(stat.czxid)

    @staticmethod
    def _is_mine(client: KazooClient, stat: Any) -> bool:
        session = client.client_id
        return session is not None and stat.ephemeralOwner == session[0]

    # -- the connection

    async def _run(self, act: Callable[[KazooClient], T]) -> T:
        return await asyncio.to_thread(self._locked, act)

    def _locked(self, act: Callable[[KazooClient], T]) -> T:
        with self._lock:
            client = self._connected()
            try:
                return act(client)
            except (KazooException, KazooTimeoutError, ValueError) as error:
                raise LeaseError(f"ZooKeeper at {self._hosts}: {type(error).__name__} {error}") from error

    def _connected(self) -> KazooClient:
        if self._client is None:
            self._client = KazooClient(hosts=self._hosts, timeout=self._ttl, logger=log)
            self._client.start_async().wait(CONNECT_TIMEOUT)
        if self._closed or not self._client.connected:
            raise LeaseError(f"ZooKeeper at {self._hosts} cannot be reached; it is tried again and again")
        return self._client

    def _stop(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            if client is not None:
                client.stop()
                client.close()

    @staticmethod
    def _wait(result: Any) -> Any:
        return result.get(timeout=ANSWER_TIMEOUT)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest().upper()
