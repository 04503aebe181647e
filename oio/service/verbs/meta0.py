"""Verbs of meta0: which meta1 services hold which prefixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import apsw

PREFIXES: Final = 65536

Runs = list[tuple[int, list[str]]]
"""First prefix of a run and its addresses, ascending; a run reaches up to the next one."""


def runs(db: apsw.Connection) -> Runs:
    """The mapping as it is stored."""
    found: Runs = []
    for prefix, addr in db.execute("SELECT prefix, addr FROM meta1 ORDER BY prefix, addr"):
        assert isinstance(prefix, bytes)
        number = int.from_bytes(prefix, "big")
        if found and found[-1][0] == number:
            found[-1][1].append(str(addr))
        else:
            found.append((number, [str(addr)]))
    return found


def expand(stored: Sequence[tuple[int, Sequence[str]]]) -> list[tuple[str, ...]]:
    """Addresses of every prefix; empty where nothing is stored."""
    table: list[tuple[str, ...]] = [()] * PREFIXES
    ends = [*(first for first, _ in stored), PREFIXES][1:]
    for (first, addresses), end in zip(stored, ends, strict=True):
        table[first:end] = [tuple(filter(None, addresses))] * (end - first)
    return table


def compress(table: Sequence[tuple[str, ...]]) -> Runs:
    """Runs of equal neighbours; a run without addresses is kept with one empty address, so that it ends the former."""
    found: Runs = []
    before: tuple[str, ...] = ()
    for number, addresses in enumerate(table):
        if addresses != before:
            found.append((number, list(addresses) or [""]))
            before = addresses
    return found


def force(db: apsw.Connection, changes: Mapping[str, Sequence[str]]) -> None:
    """Set the addresses of some prefixes (4 hex digits each); the others stay."""
    table = expand(runs(db))
    for prefix, addresses in changes.items():
        table[int(prefix, 16)] = tuple(sorted(set(addresses)))
    wanted = compress(table)
    stored = {(number, addr) for number, addresses in runs(db) for addr in addresses}
    target = {(number, addr) for number, addresses in wanted for addr in addresses}
    for number, addr in sorted(stored - target):
        db.execute("DELETE FROM meta1 WHERE prefix=? AND addr=?", (number.to_bytes(2, "big"), addr))
    for number, addr in sorted(target - stored):
        db.execute("INSERT INTO meta1(prefix, addr) VALUES(?, ?)", (number.to_bytes(2, "big"), addr))
