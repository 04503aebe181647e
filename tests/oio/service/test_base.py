"""A base on disk: log, changesets, counters, copies."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from oio.naming import BaseName
from oio.service import replica, versions
from oio.service.base import Base, CorruptBase, remove_files
from oio.service.replica import Entry, Prepare
from oio.service.repository import Repository

NAME = BaseName("meta1", "8700")


def open_base(folder: Path) -> Base:
    return Base.create(folder / NAME.file(), NAME, {"sys.peers": "127.0.0.1:1,127.0.0.1:2"})


def add_user(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO users(cid, account, user) VALUES(x'87', 'a', 'r')")


def users(base: Base) -> list[object]:
    return base.read(lambda db: [row[0] for row in db.execute("SELECT user FROM users")])


def test_a_change_is_shown_only_when_it_is_committed_and_alike_on_every_copy(tmp_path: Path) -> None:
    master, slave = open_base(tmp_path / "m"), open_base(tmp_path / "s")
    change, _ = master.record(add_user)
    assert users(master) == []
    entry = Entry(1, 7, change)
    for base in (master, slave):
        replica.accept(base, Prepare(7, 0, 0, (entry,), 0))
        assert users(base) == []
    for base in (master, slave):
        replica.accept(base, Prepare(7, 1, 7, (), 1))
        assert users(base) == ["r"]
    assert versions.parse(master.admin()) == {"admin": 2, "properties": 1, "services": 1, "users": 2}
    assert master.admin() == slave.admin()


def test_the_log_outlives_the_process(tmp_path: Path) -> None:
    base = open_base(tmp_path)
    change, _ = base.record(add_user)
    replica.accept(base, Prepare(3, 0, 0, (Entry(1, 3, change),), 0))
    base.close()
    again = Base.open(tmp_path / NAME.file(), NAME)
    assert again.facts() == replica.Facts(promised=3, committed=0, last_seq=1, last_epoch=3)
    with pytest.raises(replica.Fenced):
        replica.take_promise(again, 2)


def test_a_copy_holds_what_is_committed_and_nothing_that_is_not(tmp_path: Path) -> None:
    base = open_base(tmp_path)
    change, _ = base.record(add_user)
    replica.accept(base, Prepare(3, 0, 0, (Entry(1, 3, change),), 0))
    base.dump(tmp_path / "copy")
    copy = Base.open(tmp_path / "copy", NAME)
    assert copy.facts().last_seq == 0
    assert users(copy) == []


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / NAME.file()
    open_base(tmp_path).close()
    path.write_bytes(b"no base at all" * 1000)
    with pytest.raises(CorruptBase, match="damaged"):
        Base.open(path, NAME)
    assert remove_files(path)
    assert not remove_files(path)


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", ""])
def test_a_name_never_leaves_the_volume(name: str) -> None:
    with pytest.raises(ValueError, match="not a base name"):
        BaseName("meta2", name).checked()


def test_what_sqlite_keeps_beside_a_base_is_no_base(tmp_path: Path) -> None:
    repository = Repository(tmp_path, "OPENIO")
    name = BaseName("meta2", "AB" * 32 + ".1")
    repository.found(name, {}, born=7)
    repository.open(name).promise(1)
    path = repository.path(name)
    assert path.with_name(path.name + "-wal").exists()
    assert repository.names() == [name]
    repository.close_all()
