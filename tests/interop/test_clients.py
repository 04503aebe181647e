"""Unmodified clients of other people against `tfchain-dev`: each lives the life of a twin over a kill of the chain."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.building import CLIENTS, go, live, node, rust
from tests.tfchain.devchain.process import ChainProcess

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainProcess]:
    process = ChainProcess(tmp_path)
    process.start()
    yield process
    process.stop()


def _live(chain: ChainProcess, folder: Path, *command: str, as_nobody: bool = True) -> dict[str, Any]:
    def restart() -> None:
        chain.kill()
        chain.start()

    return live(chain.folder, folder, (*command, chain.url), restart, as_nobody=as_nobody)


def _check(found: dict[str, Any], name: str, error: str = "ContractNotExists", **more: Any) -> None:
    assert found == {
        **more,
        "connected": 149,
        "twin": True,
        "twin id": 1,
        "contract": 1,
        "contract name": name,
        "module error": error,
        "restart": None,
        "cancelled": True,
        "head": True,
    }


def test_py_substrate_interface(chain: ChainProcess) -> None:
    folder = CLIENTS / "py"
    _check(_live(chain, folder, sys.executable, "run.py", as_nobody=False), "pyname")


@pytest.mark.toolchain
def test_polkadot_js(chain: ChainProcess) -> None:
    _check(_live(chain, node("js"), "node", "run.mjs"), "jsname")


@pytest.mark.toolchain
def test_tfchain_client(chain: ChainProcess) -> None:
    found = _live(chain, node("js-tfchain"), "node", "run.mjs")
    _check(found, "tsname", "NameExists", kept=[["colour"], "green"], transferred=12_345_678, together=[2, 3])


@pytest.mark.toolchain
def test_go_substrate_rpc_client(chain: ChainProcess) -> None:
    _check(_live(chain, go("go"), "./interop"), "goname")


@pytest.mark.toolchain
def test_tfchain_client_go(chain: ChainProcess) -> None:
    found = _live(chain, go("go-tfchain"), "./interop")
    _check(found, "gotfname", kept="green", together=[2, 3], events=2)


@pytest.mark.toolchain
def test_subxt(chain: ChainProcess) -> None:
    _check(_live(chain, rust("rust"), "target/release/interop"), "rustname")
