"""The grid's keys and the first block of its chain: everybody of the grid has money there."""

from __future__ import annotations

import json
import secrets

from devgrid import layout
from devgrid.layout import GridLayout
from tfchain.keys import Identity

UNITS = 10_000_000
"""To a token."""
TOKENS = 1_000_000
"""For each account of the grid."""
BILLING_BLOCKS = 600


def prepare(grid: GridLayout) -> None:
    """Make the keys and the genesis file; what exists stays, a grid keeps its people."""
    grid.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    grid.chain.mkdir(parents=True, exist_ok=True)
    names = [grid.farmer_key, grid.user_key, *(node.key for node in grid.members)]
    accounts = {Identity.load_or_generate(path).address: TOKENS * UNITS for path in names}
    file = grid.chain / "genesis.json"
    if not file.exists():
        genesis = {
            "accounts": {
                "//Alice": 1 << 60,
                "//Bob": 1 << 60,
                "//Eve": 1 << 60,
                "//Ferdie": 1 << 60,
                **accounts,
            },
            "billing_frequency": BILLING_BLOCKS,
            "salt": secrets.token_hex(8),  # another grid at the same address is another chain
        }
        file.write_text(json.dumps(genesis, indent=1) + "\n")


def chain_arguments(grid: GridLayout) -> tuple[str, ...]:
    """Arguments of `tfchain-dev`."""
    return (
        "--state", str(grid.chain / "chain.db"),
        "--genesis", str(grid.chain / "genesis.json"),
        "--host", grid.chain_host,
        "--port", str(layout.CHAIN_PORT),
        "--control",
    )  # fmt: skip
