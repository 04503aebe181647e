"""The journal keeps what it acknowledged and never hides trouble."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtypes import ContractId, Result, ResultState, TwinId, WorkloadId
from tests.zosd.parts import deployment, full, zmount
from zosd.accept import drafts
from zosd.journal.changes import (
    AddHistory,
    Change,
    DropDeployment,
    DropJob,
    DropWorkload,
    PutJob,
    PutNote,
    PutWorkload,
    SetPaused,
    SetPhase,
    SetWaitingUpdate,
)
from zosd.journal.journal import Journal
from zosd.journal.ledger import Ledger
from zosd.journal.records import Job, Key, Phase, WaitingUpdate
from zosd.journal.rows import without_results
from zosd.journal.schema import VERSION, JournalError


async def opened(folder: Path) -> Journal:
    journal = Journal(folder / "journal.db")
    await journal.open()
    return journal


def draft(contract: int = 1000) -> tuple[Change, ...]:
    wanted = full(contract)
    return drafts.deploy(wanted, drafts.hash_of(wanted), Phase.ACTIVE, 1.0).changes


async def test_reads_back_what_it_wrote(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.commit("x", draft())
    before = journal.ledger.all()
    await journal.close()
    journal = await opened(tmp_path)
    assert journal.ledger.all() == before
    assert [one.name for one in await journal.history(before[0].key)] == ["vm1", "disk1", "net1", "ip1"]
    await journal.close()


async def test_contract_ids_use_all_64_bits(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.commit("x", draft(2**64 - 1))
    await journal.close()
    journal = await opened(tmp_path)
    assert journal.ledger.all()[0].key.contract == 2**64 - 1
    await journal.close()


async def test_a_failing_commit_writes_nothing_and_spares_its_neighbours(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    ghost = Key(TwinId(1), ContractId(1))
    wanted = full().workloads[0]
    bad = [PutNote("half", b"1"), AddHistory(ghost, wanted)]  # history of nothing breaks a foreign key
    ends = await asyncio.gather(
        journal.commit("good", [PutNote("a", b"1")]),
        journal.commit("bad", bad),
        journal.commit("good", [PutNote("b", b"2")]),
        return_exceptions=True,
    )
    assert isinstance(ends[1], sqlite3.IntegrityError)
    assert ends[0] is None
    assert ends[2] is None
    assert (journal.ledger.note("a"), journal.ledger.note("half")) == (b"1", None)
    await journal.close()
    journal = await opened(tmp_path)
    assert (journal.ledger.note("b"), journal.ledger.note("half")) == (b"2", None)
    await journal.close()


async def test_a_cancelled_caller_does_not_part_memory_and_disk(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    task = asyncio.create_task(journal.commit("x", [PutNote("a", b"1")]))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await journal.history(Key(TwinId(1), ContractId(1)))  # after it in the queue
    assert journal.ledger.note("a") == b"1"
    await journal.close()


async def test_only_one_daemon_at_a_time(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    with pytest.raises(JournalError, match="in use by another zosd"):
        await opened(tmp_path)
    await journal.close()
    await (await opened(tmp_path)).close()


async def test_a_damaged_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database at all" * 100)
    before = (tmp_path / "journal.db").read_bytes()
    with pytest.raises(JournalError, match="it was left untouched"):
        await opened(tmp_path)
    assert (tmp_path / "journal.db").read_bytes() == before


async def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(JournalError, match=f"schema version {VERSION + 1}"):
        await opened(tmp_path)


async def test_is_durable_and_private(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    pragmas = await journal._store.run(
        lambda c: [c.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    )
    assert pragmas == ["wal", 2]
    assert (tmp_path / "journal.db").stat().st_mode & 0o777 == 0o600
    await journal.close()


async def test_an_older_job_keeps_its_age(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.commit("x", draft())
    key = journal.ledger.all()[0].key
    await journal.commit("x", [PutJob(key, Job("update", 99.0))])
    assert journal.ledger.all()[0].job == Job("update", 1.0)
    await journal.close()
    journal = await opened(tmp_path)
    assert journal.ledger.all()[0].job == Job("update", 1.0)
    await journal.close()


KEY = Key(TwinId(26), ContractId(1000))
results = st.builds(
    Result,
    created=st.integers(1, 2**40),
    state=st.sampled_from([ResultState.OK, ResultState.ERROR, ResultState.PAUSED]),
    message=st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace").decode()),
    data=st.just(b"null"),
)


@st.composite
def change_lists(draw: st.DrawFn) -> list[Change]:
    made: list[Change] = []
    base = {change.record.name: change.record for change in draft() if isinstance(change, PutWorkload)}
    for _ in range(draw(st.integers(1, 12))):
        record = draw(st.sampled_from(list(base.values())))
        new = replace(
            record,
            result=draw(results),
            attempts=draw(st.integers(0, 9)),
            leaving=draw(st.sampled_from(["", "gone"])),
            newer=draw(st.sampled_from([None, zmount("disk1", version=1)])),
            half_changed=draw(st.booleans()),
        )
        made.append(
            draw(
                st.sampled_from(
                    [
                        PutWorkload(KEY, new),
                        AddHistory(KEY, new.shown()),
                        DropWorkload(KEY, record.name),
                        SetPaused(KEY, draw(st.booleans())),
                        SetPhase(KEY, draw(st.sampled_from(list(Phase)))),
                        SetWaitingUpdate(
                            KEY,
                            draw(
                                st.sampled_from([None, WaitingUpdate(without_results(full().to_json()), 2.0)])
                            ),
                        ),
                        PutJob(KEY, Job(draw(st.sampled_from(["a", "b"])), draw(st.floats(1, 9)))),
                        DropJob(KEY),
                        PutNote("n", draw(st.sampled_from([None, b"1", b"2"]))),
                    ]
                )
            )
        )
    return made


@given(st.lists(change_lists(), max_size=3), st.booleans())
@settings(max_examples=15, deadline=None, report_multiple_bugs=False)
def test_memory_and_disk_agree_after_any_changes(
    tmp_path_factory: pytest.TempPathFactory, commits: list[list[Change]], drop: bool
) -> None:
    folder = tmp_path_factory.mktemp("journal")

    async def check() -> None:
        journal = await opened(folder)
        await journal.commit("x", draft())
        for changes in commits:
            await journal.commit("x", changes)
        if drop:
            await journal.commit("x", [DropDeployment(KEY)])
        memory, note = journal.ledger.all(), journal.ledger.note("n")
        await journal.close()
        journal = await opened(folder)
        assert journal.ledger.all() == memory
        assert journal.ledger.note("n") == note
        assert not drop or await journal.history(KEY) == []
        await journal.close()

    asyncio.run(check())


def test_another_thread_may_ask_while_deployments_come_and_go() -> None:
    """As the one that serves the figures does."""
    ledger, seen, ends = Ledger(), [], threading.Event()
    coming = {ContractId(contract): draft(contract) for contract in range(1, 20)}

    def ask() -> None:
        while not ends.is_set():
            seen.append(len(ledger.all()))

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        for _ in range(200):
            for changes in coming.values():
                ledger.apply(changes)
            for contract in coming:
                ledger.apply([DropDeployment(Key(TwinId(26), contract))])
        ends.set()
        asking.result(60)
    assert max(seen, default=0) < 20


def test_ids() -> None:
    assert WorkloadId(KEY.twin, KEY.contract, full().workloads[0].name).contract == 1000
    assert deployment().workloads == ()
