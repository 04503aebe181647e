"""What the verbs of a meta service need of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, TypeVar

import apsw

from oio.service.node import Node
from oio.service.replicated import ReplicatedBase
from oio.service.rpc import Arguments
from oio.service.verbs import properties

T = TypeVar("T")
FOUNDED_AT_ONCE: Final = "meta1"
"""Bases of this type are made when they are first asked for, because the mapping of prefixes says who holds them.

Only for callers that have looked at the mapping just now (argument `found`): who founds a base decides who has it.
"""


class Serving(ABC):
    """A service of one type of bases. Methods called `verb_…` are what others can ask of it."""

    type: str
    namespace: str

    @property
    @abstractmethod
    def node(self) -> Node:
        """What the bases share."""

    @abstractmethod
    def _base(self, args: Arguments) -> ReplicatedBase:
        """The base that a call is about."""

    async def _read(self, args: Arguments, act: Callable[[apsw.Connection], T]) -> T:
        def enabled(db: apsw.Connection) -> T:
            properties.require_enabled(db, writing=False)
            return act(db)

        return await self._base(args).read(
            enabled, args.texts("peers"), args.flag("stale"), self._may_found(args)
        )

    async def _write(self, args: Arguments, act: Callable[[apsw.Connection], T]) -> T:
        def enabled(db: apsw.Connection) -> T:
            properties.require_enabled(db, writing=True)
            return act(db)

        return await self._base(args).write(enabled, args.texts("peers"), found=self._may_found(args))

    def _may_found(self, args: Arguments) -> bool:
        return self.type == FOUNDED_AT_ONCE and args.flag("found")
