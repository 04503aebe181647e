"""Who is a twin: from twin id to public key, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from gridtypes import TwinId
from rmb.errors import RmbError
from rmb.lookups import Lookups, TooManyLookups


class DirectoryUnavailable(RmbError):
    """Nothing can be said about a twin now; asking later may help."""


class TwinDirectory(Protocol):
    """A source of truth about twins.  Both methods raise DirectoryUnavailable."""

    async def public_key(self, twin: TwinId) -> bytes | None:
        """The twin's 32-byte account id; None when there is no such twin."""
        ...

    async def twin_of(self, public_key: bytes) -> TwinId | None:
        """The twin that owns a key; None when it has none."""
        ...


class StaticDirectory:
    """Twins from the configuration, asked before another directory; for grids without a chain, and for tests."""

    def __init__(self, keys: Mapping[TwinId, bytes], otherwise: TwinDirectory | None = None) -> None:
        self._keys = dict(keys)
        self._otherwise = otherwise

    async def public_key(self, twin: TwinId) -> bytes | None:
        key = self._keys.get(twin)
        if key is None and self._otherwise is not None:
            return await self._otherwise.public_key(twin)
        return key

    async def twin_of(self, public_key: bytes) -> TwinId | None:
        for twin, key in self._keys.items():
            if key == public_key:
                return twin
        return None if self._otherwise is None else await self._otherwise.twin_of(public_key)


class CachedDirectory:
    """Remembers public keys: at most SIZE of them, each for LIFE seconds, "no such twin" for MISS_LIFE seconds.

    Questions about the same twin share one look-up, and at most LOOKUPS run at once, so that a flood of messages of
    made-up twins is no flood of questions to the chain.
    """

    SIZE: Final = 1000
    LIFE: Final = 300.0
    MISS_LIFE: Final = 10.0
    LOOKUPS: Final = 10
    WAITING: Final = 500

    def __init__(self, source: TwinDirectory) -> None:
        self._source = source
        self._lookups = Lookups(
            lambda twin: source.public_key(TwinId(twin)),
            most=self.SIZE,
            life=self.LIFE,
            miss_life=self.MISS_LIFE,
            at_once=self.LOOKUPS,
            waiting=self.WAITING,
        )

    async def public_key(self, twin: TwinId) -> bytes | None:
        try:
            return await self._lookups.get(twin)
        except TooManyLookups as problem:
            raise DirectoryUnavailable(str(problem)) from problem

    async def twin_of(self, public_key: bytes) -> TwinId | None:
        return await self._source.twin_of(public_key)
