"""Asking a node to accept something that it has to refuse, or to take."""

from __future__ import annotations

import pytest

from gridtypes import (
    Deployment,
    TwinId,
)
from tests.zosd.parts import (
    TWIN,
    Daemon,
)
from zosd.accept.acceptor import Call
from zosd.accept.refusal import Refusal
from zosd.clock import SystemClock


async def refused(node: Daemon, wanted: Deployment, caller: TwinId | None = None) -> str:
    """Deploy, expect a refusal that stored nothing and made nothing, and return its text."""
    before = [record.key for record in node.journal.ledger.all()]
    with pytest.raises(Refusal) as caught:
        await node.deploy(wanted, caller)
    assert [record.key for record in node.journal.ledger.all()] == before
    assert all(not script.calls for script in node.scripts.values())
    return str(caught.value)


async def refused_body(node: Daemon, body: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        await node.acceptor.deploy(Call(TWIN, body, SystemClock().monotonic() + 60))
    assert len(node.journal.ledger) == 0
    return str(caught.value)


def signed_up(node: Daemon, wanted: Deployment, /, **changes: object) -> Deployment:
    node.chain.sign_up(wanted, **changes)
    return wanted
