"""A connection to the local Redis: one error for all its troubles, and no command that waits for ever."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from rmb.errors import BusUnavailable

DEFAULT_SOCKET: Final = "/run/zos/redis.sock"
ENVIRONMENT: Final = "ZOS_RMB_REDIS"
CONNECT_TIMEOUT: Final = 5.0
ANSWER_TIMEOUT: Final = 20.0
"""Seconds; longer than every blocking command that this package sends."""
MAX_BLOCK: Final = 10
"""Seconds that one blocking command may wait inside Redis."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a Redis listens: a Unix socket, or host and port."""

    socket: str | None
    host: str = "127.0.0.1"
    port: int = 6379
    database: int = 0
    password: str | None = None

    @classmethod
    def parse(cls, text: str | None = None) -> RedisAddress:
        """Read `unix:///path`, `unix:///path?db=1`, `/path`, `redis://host:port/db` or `tcp://host:port`.

        None: the environment variable ZOS_RMB_REDIS, else `/run/zos/redis.sock`.  Raises ValueError.
        """
        text = text or os.environ.get(ENVIRONMENT) or DEFAULT_SOCKET
        if text.startswith("/"):
            return cls(socket=text)
        parts = urlsplit(text)
        # The Go client takes the user part of the URL as the password.
        password = parts.password or parts.username
        password = unquote(password) if password else None
        if parts.scheme == "unix" and parts.path:
            database = parse_qs(parts.query).get("db", ["0"])[0]
            return cls(unquote(parts.path), database=_number(database, text), password=password)
        if parts.scheme in ("redis", "tcp") and parts.hostname:
            database = parts.path.strip("/") or "0"
            return cls(None, parts.hostname, parts.port or 6379, _number(database, text), password)
        raise ValueError(
            f"Redis address {_masked(text)}: expected unix:///path, /path, redis://host:port or tcp://host:port"
        )

    def __str__(self) -> str:
        if self.socket:
            return f"unix://{self.socket}" + (f"?db={self.database}" if self.database else "")
        return f"redis://{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script: everything that has to happen together happens in one."""

    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class RedisLink:
    """Sends commands; answers are bytes, numbers, None or lists of these.  Every method raises BusUnavailable."""

    def __init__(self, address: RedisAddress, *, max_connections: int = 256) -> None:
        self.address = address
        options: dict[str, Any] = {
            "db": address.database,
            "password": address.password,
            "socket_connect_timeout": CONNECT_TIMEOUT,
            # With a time-out of its own the library sends through `asyncio.wait_for`, which in Python 3.11 may
            # swallow a cancellation; `_send` has the limit instead.
            "socket_timeout": None,
            # A command that is sent twice may act twice: whoever can repeat it safely does so itself.
            "retry": Retry(NoBackoff(), 0),
            "retry_on_timeout": False,
            "max_connections": max_connections,
            "timeout": ANSWER_TIMEOUT,
            "protocol": 2,
        }
        if address.socket:
            pool = aioredis.BlockingConnectionPool(
                connection_class=aioredis.UnixDomainSocketConnection, path=address.socket, **options
            )
        else:
            pool = aioredis.BlockingConnectionPool(host=address.host, port=address.port, **options)
        redis: Any = aioredis.Redis(connection_pool=pool)
        self._redis = redis

    async def command(self, *words: str | bytes | int | float) -> Any:
        """Send one command."""
        try:
            return await self._send(*words)
        except (TimeoutError, RedisError, OSError) as error:
            raise _unavailable(self.address, error) from error

    async def run(self, script: Script, keys: Sequence[str], *arguments: str | bytes | int | float) -> Any:
        """Run a script; it is sent in full only when Redis does not know it yet."""
        try:
            try:
                return await self._send("EVALSHA", script.digest, len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._send("EVAL", script.text, len(keys), *keys, *arguments)
        except (TimeoutError, RedisError, OSError) as error:
            raise _unavailable(self.address, error) from error

    async def _send(self, *words: str | bytes | int | float) -> Any:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await self._redis.execute_command(*words)

    def dedicated(self) -> RedisLink:
        """A link of exactly one connection, for commands that block."""
        return RedisLink(self.address, max_connections=1)

    async def close(self) -> None:
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()


def _unavailable(address: RedisAddress, error: BaseException) -> BusUnavailable:
    reason = str(error) or f"no answer within {ANSWER_TIMEOUT:.0f} s"
    if isinstance(error, ResponseError):
        return BusUnavailable(f"Redis at {address} refused a command: {reason}")
    return BusUnavailable(f"cannot reach Redis at {address}: {reason}; is redis-server running there?")


def _number(database: str, text: str) -> int:
    if not (database.isascii() and database.isdigit()):
        raise ValueError(f"Redis address {_masked(text)}: {database!r} is no database number")
    return int(database)


def _masked(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    return f"{scheme}{separator}***@{rest.rpartition('@')[2]}" if "@" in rest else text
