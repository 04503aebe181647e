"""What the chain's database keeps, forgets and refuses."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.tfchain.devchain.process import ChainProcess
from tfchain.devchain import chain as dev_chain
from tfchain.devchain.chain import DevChain
from tfchain.devchain.genesis import Genesis
from tfchain.devchain.rpc.arguments import Arguments
from tfchain.devchain.rpc.errors import RpcError
from tfchain.devchain.rpc.server import Server
from tfchain.devchain.store import Store, StoreError

NUMBER = "0x26aa394eea5630e07c48ae0c9558cef702a5c1b19ab7a04f536c519aca4983ac"
"""System.Number."""
KEPT = 100


def test_a_database_of_another_format_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    Store(path).close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE meta SET v = '0' WHERE k = 'format'")
    before = sqlite3.connect(path).execute("SELECT * FROM meta ORDER BY k").fetchall()
    with pytest.raises(StoreError, match="has format 0, this program writes 1; start with another --state"):
        Store(path)
    assert sqlite3.connect(path).execute("SELECT * FROM meta ORDER BY k").fetchall() == before


def test_the_command_says_so_in_one_sentence(tmp_path: Path) -> None:
    Store(tmp_path / "chain.db").close()
    with sqlite3.connect(tmp_path / "chain.db") as database:
        database.execute("UPDATE meta SET v = '7' WHERE k = 'format'")
    with pytest.raises(AssertionError, match=r"^tfchain-dev: .*has format 7.*another --state\s*$"):
        ChainProcess(tmp_path).start()


def test_old_state_is_forgotten_when_asked_for_and_says_so(tmp_path: Path) -> None:
    chain = DevChain(Store(tmp_path / "chain.db"), Genesis(), keep_blocks=KEPT)
    try:
        for _ in range(2 * dev_chain.PRUNE_EVERY + KEPT):
            chain.seal([])
        server = Server(chain, control=False)
        head = chain.head.header.number
        oldest = chain.store.oldest_kept()
        assert 0 < oldest <= head - KEPT

        def number_at(block: int) -> Any:
            hash_hex = "0x" + (chain.store.hash_of(block) or b"").hex()
            return server._methods["state_getStorage"](Arguments([NUMBER, hash_hex]))

        for block in (oldest, head - 1, head):
            assert number_at(block) == "0x" + block.to_bytes(4, "little").hex()
        with pytest.raises(RpcError, match=r"pruned|discarded") as refused:
            number_at(oldest - 1)
        assert refused.value.to_json()["code"] == -32000
        assert chain.store.block(1) is not None
    finally:
        chain.close()
