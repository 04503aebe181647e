"""What is accepted while the chain is away, and what becomes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gridtypes import (
    WorkloadType,
)
from tests.zosd.accepting import refused, signed_up
from tests.zosd.parts import (
    Daemon,
    daemon,
    deployment,
    full,
    zmount,
)
from zosd.accept.acceptor import MOST_WAITING
from zosd.accept.drafts import key_of
from zosd.accept.refusal import Refusal
from zosd.capacity import GIB
from zosd.journal.records import Phase


class TestChainAway:
    async def known(self, node: Daemon) -> None:
        """Make the twin's key known."""
        await node.deploy_with_contract(deployment(zmount("first"), contract=1))
        await node.settled()
        node.chain.away = True

    async def test_a_known_twin_waits_in_init(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await self.known(node)
            wanted = signed_up(node, full())
            await node.deploy(wanted)
            key = key_of(wanted)
            await asyncio.sleep(0.05)
            assert set(node.states(key).values()) == {"init"}
            assert await node.waiting.round() is False
            assert "chain unreachable: connection refused" in node.message(key, "vm1")
            node.chain.away = False
            assert await node.waiting.round() is True
            await node.settled()
            assert set(node.states(key).values()) == {"ok"}

    async def test_a_waiting_one_survives_a_restart_and_is_checked(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await self.known(node)
            wanted = signed_up(node, full(), hash="0" * 32)
            await node.deploy(wanted)
            chain = node.chain
        chain.away = False
        async with daemon(tmp_path, chain) as node:
            await node.waiting.round()
            key = key_of(wanted)
            assert set(node.states(key).values()) == {"error"}
            assert node.message(key, "vm1") == "contract hash does not match deployment hash"
            record = node.journal.ledger.get(key)
            assert record is not None
            assert record.phase is Phase.REFUSED
            assert not node.scripts[WorkloadType.ZMACHINE].calls
            # A better one may take its place.
            chain.sign_up(wanted)
            await node.deploy(wanted)
            await node.settled()
            assert set(node.states(key).values()) == {"ok"}

    async def test_an_unknown_twin_is_refused(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.chain.away = True
            text = await refused(node, full())
            assert "failed to get public key for twin '26': the chain cannot be reached" in text

    async def test_only_64_wait_for_one_twin(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await self.known(node)
            for number in range(MOST_WAITING):
                await node.deploy(deployment(zmount("d", 1 << 20), contract=100 + number))
            with pytest.raises(Refusal, match="26 has 64 deployments waiting for the chain, the limit is 64"):
                await node.deploy(deployment(zmount("d"), contract=999))

    async def test_an_update_waits_and_what_runs_is_not_touched(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            key = await node.deploy_with_contract(deployment(zmount("a")))
            await node.settled()
            new = deployment(zmount("a", 2 * GIB, version=1), version=1)
            node.chain.away = True
            await node.update(new)
            record = node.journal.ledger.get(key)
            assert record is not None
            assert record.header.version == 0
            node.chain.away = False
            await node.waiting.round()  # the contract still has the old hash
            assert (await node.changes(key))[-1] == ("a", "unchanged")
            assert node.states(key) == {"a": "ok"}
            node.chain.sign_up(new)
            await node.update(new)
            await node.settled()
            record = node.journal.ledger.get(key)
            assert record is not None
            assert record.header.version == 1
