"""All stores of a relay keep the same promises."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from rmb.redis_link import RedisAddress
from rmb.relay.stores import sqlite_store
from rmb.relay.stores.message_store import FIRST, Id, Kept, MessageStore, StoreUnavailable
from rmb.relay.stores.redis_connection import addresses
from rmb.relay.stores.redis_store import RedisStore
from rmb.relay.stores.sqlite_store import SqliteStore
from tests.rmb.redis_cluster import RedisCluster, redis_cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(params=["sqlite", "redis", "cluster"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MessageStore]:
    made: MessageStore
    if request.param == "sqlite":
        made = SqliteStore(tmp_path / "messages.db")
    elif request.param == "cluster":
        nodes = addresses(request.getfixturevalue("cluster").addresses)
        made = RedisStore(nodes, "test", cluster=True)
        await made.redis.flushall(target_nodes="primaries")
    else:
        address = RedisAddress.parse(request.getfixturevalue("redis_socket"))
        made = RedisStore((address,), "test")
        await made.redis.flushall()
    yield made
    await made.close()


async def append(store: MessageStore, session: str, message: bytes) -> Id:
    """Keep a message; its id once it is durable.  Raises StoreUnavailable."""
    return await _kept(partial(store.append, session, message))


async def queue(store: MessageStore, message: bytes) -> Id:
    return await _kept(partial(store.queue, message))


async def _kept(act: Callable[[Kept], None]) -> Id:
    future: asyncio.Future[Id] = asyncio.get_running_loop().create_future()

    def told(answer: Id | StoreUnavailable) -> None:
        if isinstance(answer, StoreUnavailable):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    act(told)
    return await future


async def test_messages_of_a_session_come_in_order_and_from_where_one_was(store: MessageStore) -> None:
    ids = await asyncio.gather(*(append(store, "7", b"%d" % number) for number in range(20)))
    await append(store, "7:x", b"of another session")
    found = await store.read("7", FIRST, 100)
    assert found == [(id, b"%d" % number) for number, id in enumerate(ids)]
    assert await store.read("7", ids[9], 5) == found[10:15]
    assert await store.read("8", FIRST, 100) == []


async def test_what_is_deleted_is_gone_and_the_rest_stays(store: MessageStore) -> None:
    ids = [await append(store, "7", b"%d" % number) for number in range(6)]
    store.delete("7", ids[:2])
    await append(store, "7", b"later")  # in the same batch or after
    assert [body for _, body in await store.read("7", FIRST, 100)] == [b"2", b"3", b"4", b"5", b"later"]


async def test_the_queue_gives_each_message_to_one_worker_until_it_is_done(store: MessageStore) -> None:
    for number in range(3):
        await queue(store, b"%d" % number)
    taken = await store.take(2)
    assert [body for _, body in taken] == [b"0", b"1"]
    assert [body for _, body in await store.take(5)] == [b"2"]
    assert await store.take(5) == []
    store.done([id for id, _ in taken])


async def test_what_was_taken_and_not_done_comes_again_after_a_restart(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "messages.db")
    for number in range(2):
        await queue(first, b"%d" % number)
    taken = await first.take(5)
    first.done([taken[0][0]])
    await first.close()
    second = SqliteStore(tmp_path / "messages.db")
    assert [body for _, body in await second.take(5)] == [b"1"]
    await second.close()


async def test_the_oldest_give_way_when_a_session_has_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "MAX_IN_SESSION", 5)
    store = SqliteStore(tmp_path / "messages.db")
    for number in range(40):
        await append(store, "7", b"%d" % number)
        kept = [body for _, body in await store.read("7", FIRST, 100)]
        assert kept[-5:] == [b"%d" % each for each in range(number + 1)][-5:]
        assert len(kept) <= 5
    async with asyncio.timeout(60):
        while _rows(tmp_path / "messages.db") > 5:
            await asyncio.sleep(0.01)
    await store.close()


async def test_what_stays_between_what_was_delivered_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "messages.db"
    store = SqliteStore(path)
    ids = await asyncio.gather(*(append(store, "7", b"%d" % number) for number in range(100)))
    left = {0, 1, 40, 60, 62, 99}
    store.delete("7", [id for number, id in enumerate(ids) if number not in left])
    async with asyncio.timeout(60):
        while _rows(path) > len(left):
            await asyncio.sleep(0.01)
    await store.close()
    store = SqliteStore(path)
    expected = [(ids[number], b"%d" % number) for number in sorted(left)]
    assert await store.read("7", FIRST, 100) == expected
    later = await append(store, "7", b"later")
    assert await store.read("7", ids[62], 100) == [expected[-1], (later, b"later")]
    await store.close()


async def test_a_file_of_an_older_relay_is_read(tmp_path: Path) -> None:
    path = tmp_path / "messages.db"
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "CREATE TABLE message (id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL,"
            " stored REAL NOT NULL, body BLOB NOT NULL)"
        )
        db.execute("CREATE INDEX message_by_session ON message (session, id)")
        db.execute(
            "INSERT INTO message (id, session, stored, body) VALUES (41, '7', ?, 'old')", (time.time(),)
        )
    store = SqliteStore(path)
    new = await append(store, "7", b"new")
    assert [int(id) for id, _ in await store.read("7", FIRST, 10)] == [41, 42]
    store.delete("7", [41, new])
    await store.close()
    assert _rows(path) == 0


async def test_too_many_sessions_are_refused_and_those_that_are_there_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "MAX_SESSIONS", 2)
    store = SqliteStore(tmp_path / "messages.db")
    for session in ("1", "2"):
        await append(store, session, b"kept")
    with pytest.raises(StoreUnavailable, match="2 sessions wait already"):
        await append(store, "3", b"refused")
    await append(store, "2", b"kept")
    await store.close()


async def test_what_could_not_be_forgotten_is_forgotten_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "messages.db"
    store = SqliteStore(path)
    first = await append(store, "7", b"delivered")
    with monkeypatch.context() as patch:
        patch.setattr(store, "_commit", lambda *_: 1 / 0)
        store.delete("7", [first])
        await asyncio.sleep(0.2)
    async with asyncio.timeout(60):
        while _rows(path):
            await asyncio.sleep(0.05)
    await store.close()


async def test_what_was_delivered_is_forgotten_without_a_new_message(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "messages.db")
    first = await append(store, "7", b"delivered")
    store.delete("7", [first])
    assert await store.read("7", FIRST, 100) == [], "at once for those who read"
    async with asyncio.timeout(60):
        while _rows(tmp_path / "messages.db"):
            await asyncio.sleep(0.01)
    await store.close()


async def test_whatever_fails_those_who_wait_hear_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "messages.db")
    with monkeypatch.context() as patch:
        patch.setattr(store, "_commit", lambda *_: 1 / 0)
        with pytest.raises(StoreUnavailable, match="division by zero"):
            await asyncio.wait_for(append(store, "7", b"lost"), 60)
    kept = await append(store, "7", b"kept")
    assert await store.read("7", FIRST, 100) == [(kept, b"kept")]
    await store.close()


def _rows(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM message").fetchone()[0])


async def test_sessions_that_nobody_fetches_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "messages.db")
    await append(store, "7", b"old")
    await queue(store, b"for another relay")
    monkeypatch.setattr(sqlite_store, "IDLE_LIFE_S", -1)
    monkeypatch.setattr(sqlite_store, "SWEEP_EVERY_S", 0)
    await append(store, "8", b"makes it look")
    assert await store.read("7", FIRST, 100) == []
    assert [body for _, body in await store.take(5)] == [b"for another relay"]
    await store.close()


async def test_a_store_that_is_away_says_so(tmp_path: Path) -> None:
    store = RedisStore((RedisAddress.parse(str(tmp_path / "nothing.sock")),), "test")
    with pytest.raises(StoreUnavailable, match="cannot reach Redis"):
        await append(store, "7", b"x")
    with pytest.raises(StoreUnavailable):
        await store.read("7", FIRST, 1)
    await store.close()
    with pytest.raises(StoreUnavailable, match="cannot keep messages"):
        SqliteStore(Path("/proc/nowhere/messages.db"))
