"""The way to the chain: a client, or the fact that there is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gridtypes import ContractId
from provisioners.protocol import ReservedIp
from tfchain import Chain
from zosd.accept.facts import ChainFacts, NoChain
from zosd.chainlife.facts import TfchainFacts
from zosd.config import ChainSection

READ_TIMEOUT = 8.0
"""Seconds for a read over all endpoints; a little less than what a call waits for it, so that the reason is told."""


@dataclass(frozen=True, slots=True)
class ChainLink:
    chain: Chain | None
    facts: ChainFacts
    reserved: Callable[[ContractId], Awaitable[Sequence[ReservedIp] | None]]
    """The addresses of a contract."""


async def open_link(section: ChainSection, stack: AsyncExitStack) -> ChainLink:
    """Make the client; it connects when it is used first."""
    if not section.urls:
        facts = NoChain()
        return ChainLink(None, facts, facts.reserved)
    chain = await stack.enter_async_context(Chain(section.urls, timeout=READ_TIMEOUT))
    known = TfchainFacts(chain)
    return ChainLink(chain, known, known.reserved)
