"""Results are followed through a restart of the node."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest

import rmb
from client import following
from client.node_client import NodeClient
from gridtypes import ContractId

DISK = {
    "version": 0,
    "name": "d",
    "type": "zmount",
    "data": {"size": 1},
    "metadata": "",
    "description": "",
    "result": {"created": 1, "state": "ok", "message": "", "data": None},
}


class Away:
    """A bus whose node answers with the first of these that is no failure, at each call the next."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def call(self, twin: int, command: str, payload: Any = None, timeout: float = 30.0) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "POLL_FIRST_S", 0.001)


@pytest.mark.parametrize("trouble", [rmb.CallTimeout("no answer"), rmb.BusUnavailable("gone")])
async def test_a_node_that_restarts_is_asked_again(trouble: Exception) -> None:
    node = NodeClient(7, Away(trouble, [DISK], trouble, trouble, [DISK, DISK]))
    async with aclosing(following.watch(node, ContractId(1))) as stream:
        assert len(await anext(stream)) == 1
        assert len(await anext(stream)) == 2


async def test_one_that_stays_away_ends_it_with_its_last_trouble() -> None:
    node = NodeClient(7, Away(rmb.CallTimeout("no answer")))
    with pytest.raises(rmb.CallTimeout, match="no answer"):
        await anext(following.watch(node, ContractId(1), patience=0))


async def test_a_definite_no_is_no_trouble_to_wait_for() -> None:
    node = NodeClient(7, Away(rmb.RemoteError("deployment not found")))
    with pytest.raises(rmb.RemoteError, match="not found"):
        await anext(following.watch(node, ContractId(1)))
