"""A router's mark in Redis: which commands it serves, and what it was working on when it died."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Final

from rmb import queues
from rmb.redis_link import RedisLink, Script

BEAT: Final = 10
"""Seconds between two signs of life."""
LIFE: Final = 30
"""Seconds without a sign of life after which a router is dead."""

_INSTANCES: Final = "msgbus.routers"
"""Sorted set: instance → time of its last sign of life."""

# KEYS: sorted set of instances.  ARGV: our instance, oldest sign of life of the living, prefix of the work hashes.
_BURY = Script("""
local left = {}
for _, instance in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])) do
  if instance ~= ARGV[1] then
    local work = ARGV[3] .. instance
    for _, request in ipairs(redis.call('HVALS', work)) do left[#left + 1] = request end
    redis.call('DEL', work)
    redis.call('ZREM', KEYS[1], instance)
  end
end
return left
""")

_ANSWER = Script("""
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[2])
return 1
""")


class Presence:
    """The signs of life of one router process (`instance`), kept by whoever calls `beat` every BEAT seconds."""

    def __init__(self, link: RedisLink, instance: str, commands: Collection[str]) -> None:
        self._link = link
        self._instance = instance
        self._work = _work(instance)
        self._served: dict[str, list[str]] = {}
        for command in sorted(commands):
            self._served.setdefault(command.partition(".")[0], []).append(command)

    @property
    def roots(self) -> Sequence[str]:
        """First segments of all commands: requests for unknown commands below them come to us as well."""
        return tuple(self._served)

    async def beat(self) -> list[bytes]:
        """Say that we live; return the requests that dead routers left behind, each of them once."""
        now = int(time.time())
        await self._link.command("ZADD", _INSTANCES, now, self._instance)
        for root, commands in self._served.items():
            await self._link.command("SADD", queues.router(root), *commands)
            await self._link.command("EXPIRE", queues.router(root), LIFE)
        left = await self._link.run(_BURY, [_INSTANCES], self._instance, now - LIFE, _work(""))
        return [bytes(request) for request in left]

    async def leave(self) -> None:
        """Say that we are gone, and everything answered."""
        for root, commands in self._served.items():
            await self._link.command("SREM", queues.router(root), *commands)
        await self._link.command("ZREM", _INSTANCES, self._instance)
        await self._link.command("DEL", self._work)

    async def begin(self, number: int, request: bytes) -> None:
        """Note that we work on `request`."""
        await self._link.command("HSET", self._work, number, request)

    async def answer(self, number: int, reply: bytes) -> None:
        """Hand the reply to the peer and forget the request, both or neither."""
        await self._link.run(_ANSWER, [queues.REPLY, self._work], reply, number)


def _work(instance: str) -> str:
    return f"msgbus.router.work.{instance}"
