"""The application that sets quotas."""

from __future__ import annotations

import sys
from pathlib import Path

import dynamo.exec.set_quota
import pytest
from dynamo.core.inventory import ObjectRepository
from dynamo.dataformat import Site, SitePartition
from dynamo.policy.partition_file import parse_partitions

from tests.dynamo.single_server import SingleServer

SET_QUOTA = str(Path(dynamo.exec.set_quota.__file__))


def test_quotas_are_set_scaled_and_shown(server: SingleServer) -> None:
    make = server.script(
        "from dynamo.core.executable import inventory\nfrom dynamo.dataformat import Site\n"
        "for name in ('Q_A', 'Q_B'):\n    inventory.update(Site(name))\n",
        "make.py",
    )
    for path, title in ((make, "make"), (SET_QUOTA, "set_quota")):
        assert server.run("exec_auth", "-x", path, "-t", title).returncode == 0
    assert server.dynamo("-W", "-t", "make", make).returncode == 0
    run = f"{SET_QUOTA} -s Q_A Q_B -g Owned"
    done = server.dynamo("-W", "-t", "set_quota", f"{run} -v 1.5")
    assert done.stdout == "Q_A Owned: 1.500 TB\nQ_B Owned: 1.500 TB\n", done.stderr
    assert server.dynamo("-W", "-t", "set_quota", f"{SET_QUOTA} -s Q_A -g Owned -c 2").returncode == 0
    assert server.dynamo(f"{run} -d").stdout == "Q_A Owned: 3.000 TB\nQ_B Owned: 1.500 TB\n"
    tried = server.dynamo(f"{run} -v 9")
    assert "nothing is changed" in tried.stderr
    assert server.dynamo(f"{run} -d").stdout.startswith("Q_A Owned: 3.000 TB\n")
    assert "Unknown partition Nowhere" in server.dynamo(f"{SET_QUOTA} -s Q_A -g Nowhere -d").stderr


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> ObjectRepository:
    """An inventory with a union of three partitions, of 6, 3 and 1 TB at a site."""
    inventory = ObjectRepository()
    names = ("One", "Two", "Three")
    text = "".join(f"{name}: dataset.name == /{name}/*\n" for name in names)
    inventory.define_partitions(
        parse_partitions(f"{text}All: [One, Two, Three]\nAlone: dataset.name == /x\n")
    )
    inventory.update(Site("S"))
    for name, quota in zip(names, (6, 3, 1), strict=True):
        inventory.update(SitePartition("S", name, quota * 10**12))
    monkeypatch.setattr(dynamo.exec.set_quota, "inventory", inventory)
    return inventory


def _set(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["set_quota", "-s", "S", *arguments])
    dynamo.exec.set_quota.main()


def _quotas(inventory: ObjectRepository) -> dict[str, float]:
    return {
        partition.name: share.quota / 1e12 for partition, share in inventory.sites["S"].partitions.items()
    }


def test_the_others_make_up_for_a_quota_when_the_sum_shall_stay(
    shares: ObjectRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, "-g", "One", "-v", "8", "-a")
    assert _quotas(shares) == {"One": 8, "Two": 1.5, "Three": 0.5, "All": 10, "Alone": 0}
    _set(monkeypatch, "-g", "One", "-c", "0.25", "-a")
    assert _quotas(shares) == {"One": 2, "Two": 6, "Three": 2, "All": 10, "Alone": 0}
    _set(monkeypatch, "-g", "One", "-v", "3")
    assert _quotas(shares)["All"] == 11


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-g", "One", "-v", "11", "-a"), "cannot make up for that"),
        (("-g", "One", "-v", "-1", "-a"), "cannot make up for that"),
        (("-g", "Alone", "-v", "1", "-a"), "part of 0 unions"),
        (("-g", "All", "-v", "1"), "is the sum of its parts"),
    ],
)
def test_what_cannot_be_made_up_for_is_refused_and_nothing_changes(
    shares: ObjectRepository, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    before = _quotas(shares)
    with pytest.raises(SystemExit, match=said):
        _set(monkeypatch, *arguments)
    assert _quotas(shares) == before
