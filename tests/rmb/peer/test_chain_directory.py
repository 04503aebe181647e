from __future__ import annotations

import asyncio

import pytest

from gridtypes import TwinId
from rmb.peer.chain_directory import ChainDirectory
from rmb.peer.directory import DirectoryUnavailable
from tfchain.errors import ChainUnavailable, WrongChain
from tfchain.models import Twin

KEY = bytes(range(32))


class Chain:
    """One twin, number 7."""

    def __init__(self, trouble: Exception | None = None, silent: bool = False) -> None:
        self.trouble = trouble
        self.silent = silent

    async def twin(self, twin_id: TwinId) -> Twin | None:
        await self._trouble()
        return Twin(id=twin_id, account_id=KEY, relay=None, pk=None) if twin_id == 7 else None

    async def twin_by_account(self, public_key: bytes) -> TwinId | None:
        await self._trouble()
        return TwinId(7) if public_key == KEY else None

    async def _trouble(self) -> None:
        if self.trouble:
            raise self.trouble
        if self.silent:
            await asyncio.Event().wait()


async def test_a_twins_key_is_its_account() -> None:
    directory = ChainDirectory(Chain())
    assert await directory.public_key(TwinId(7)) == KEY
    assert await directory.public_key(TwinId(8)) is None
    assert await directory.twin_of(KEY) == 7
    assert await directory.twin_of(bytes(32)) is None


@pytest.mark.parametrize("trouble", [ChainUnavailable("no endpoint answers"), WrongChain("another chain")])
async def test_a_chain_in_trouble_says_nothing_about_a_twin(trouble: Exception) -> None:
    directory = ChainDirectory(Chain(trouble))
    with pytest.raises(DirectoryUnavailable, match=str(trouble)):
        await directory.public_key(TwinId(7))
    with pytest.raises(DirectoryUnavailable, match=str(trouble)):
        await directory.twin_of(KEY)


async def test_a_silent_chain_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rmb.peer.chain_directory.TIMEOUT", 0.1)
    with pytest.raises(DirectoryUnavailable, match="did not answer within"):
        await ChainDirectory(Chain(silent=True)).public_key(TwinId(7))
