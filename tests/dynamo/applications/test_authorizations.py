"""What decides whether an executable may write."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from dynamo.core.master.authorizations import EVERYBODY, Authorizations
from dynamo.core.master.database import open_master
from dynamo.core.serverconfig import MasterConfig

# Two texts with the same MD5, as published by X. Wang and H. Yu in 2004.
FIRST = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
SECOND = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e4888325f1415a085125e8f7cdc99fd91dbd7280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70"
)


@pytest.fixture
def rights(tmp_path: Path) -> Authorizations:
    return Authorizations(open_master(MasterConfig(path=str(tmp_path / "server.db"))))


def test_w17_of_two_executables_with_the_same_md5_only_the_authorised_one_may_write(
    rights: Authorizations,
) -> None:
    def md5(executable: bytes) -> bytes:
        return hashlib.md5(executable, usedforsecurity=False).digest()

    assert FIRST != SECOND
    assert md5(FIRST) == md5(SECOND)
    assert rights.authorize("title", FIRST)
    assert rights.check("title", FIRST, user_id=7)
    assert not rights.check("title", SECOND, user_id=7)
    assert [row.title for row in rights.listed(executable=SECOND)] == []


def test_one_executable_a_title_and_user(rights: Authorizations) -> None:
    assert rights.authorize("title", b"old")
    assert rights.authorize("title", b"new")
    assert not rights.check("title", b"old", user_id=7)
    assert rights.authorize("title", b"own", user_id=7)
    assert rights.check("title", b"own", user_id=7)
    assert not rights.check("title", b"own", user_id=8)
    assert rights.revoke("title", EVERYBODY) == 1
    assert rights.check("title", b"own", user_id=7)
    assert rights.revoke("title") == 1
    assert rights.listed() == []
