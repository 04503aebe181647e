"""Genesis files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tfchain.devchain.driver import Driver, person
from tfchain.devchain import genesis
from tfchain.devchain.chain import DevChain
from tfchain.devchain.genesis import Genesis, GenesisError
from tfchain.devchain.interface import interface
from tfchain.devchain.store import Store, StoreError


def test_the_same_file_gives_the_same_hash_and_a_salt_another() -> None:
    one, _ = genesis.make(interface(), Genesis())
    two, _ = genesis.make(interface(), Genesis())
    other, _ = genesis.make(interface(), Genesis(salt="x"))
    assert one.hash == two.hash != other.hash


def test_terms_twins_and_farms_are_there_from_the_start(tmp_path: Path) -> None:
    file = tmp_path / "genesis.json"
    address = {"ip": "185.206.122.33/24", "gateway": "185.206.122.1"}
    file.write_text(
        json.dumps(
            {
                "terms": ["//Dave"],
                "twins": [{"account": "//Alice"}, {"account": "//Bob", "relay": "relay.example.org"}],
                "farms": [{"name": "devfarm", "twin": 2, "dedicated": True, "public_ips": [address]}],
            }
        )
    )
    driver = Driver(tmp_path, genesis.load(file))
    try:
        assert driver.read("TfgridModule.Twins", 2)["relay"] == "relay.example.org"
        farm = driver.read("TfgridModule.Farms", 1)
        assert (farm["twin_id"], farm["dedicated_farm"]) == (2, True)
        assert farm["public_ips"] == [{**address, "contract_id": 0}]
        assert driver.call(person("//Dave"), "TfgridModule.create_twin", relay=None, pk=None).ok
    finally:
        driver.close()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"acounts": {}}, "acounts"),
        ({"accounts": {"nobody": 5000}}, "nobody"),
        ({"accounts": {"//Alice": 1}}, "500"),
        ({"twins": [{"account": "//Alice", "relay": "https://x"}]}, "InvalidRelayAddress"),
        ({"farms": [{"name": "farm", "twin": 1}]}, "no twin 1"),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(tmp_path: Path, broken: object, reason: str) -> None:
    file = tmp_path / "genesis.json"
    file.write_text(json.dumps(broken))
    with pytest.raises(GenesisError, match=reason):
        genesis.make(interface(), genesis.load(file))


def test_a_database_keeps_its_genesis(tmp_path: Path) -> None:
    store = Store(tmp_path / "chain.db")
    made = DevChain(store, Genesis(salt="one"))
    made.close()
    again = DevChain(Store(tmp_path / "chain.db"), Genesis(salt="one"))
    assert again.genesis_hash == made.genesis_hash
    again.close()
    other = Store(tmp_path / "chain.db")
    with pytest.raises(StoreError, match="another genesis"):
        DevChain(other, Genesis(salt="two"))
    other.close()
