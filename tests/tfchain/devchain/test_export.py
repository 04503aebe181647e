"""A chain that was exported goes on as another one."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from tests.tfchain.devchain.driver import NODE, Driver, person
from tfchain.devchain import cli
from tfchain.devchain.chain import DevChain
from tfchain.devchain.export import OF_A_BLOCK, export
from tfchain.devchain.genesis import Genesis
from tfchain.devchain.store import Store

ALICE, BOB, CHARLIE = (person(f"//{name}") for name in ("Alice", "Bob", "Charlie"))


def _lived(folder: Path) -> Driver:
    driver = Driver(folder, Genesis(salt="lived", billing_frequency=3))
    for who in (ALICE, BOB, CHARLIE):
        driver.make_twin(who, relay="relay.example.org" if who is BOB else None)
    address = {"ip": "185.206.122.33/24", "gw": "185.206.122.1"}
    assert driver.call(ALICE, "TfgridModule.create_farm", name="farm", public_ips=[address]).ok
    assert driver.call(BOB, "TfgridModule.create_node", **NODE).ok
    assert driver.call(
        CHARLIE, "SmartContractModule.create_node_contract", node_id=1, deployment_hash="0x" + "30" * 32,
        deployment_data="", public_ips=1, solution_provider_id=None,
    ).ok  # fmt: skip
    return driver


def _of_the_grid(values: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: value for key, value in values.items() if not key.startswith(OF_A_BLOCK)}


def test_the_new_chain_has_the_state_of_the_old_one(tmp_path: Path) -> None:
    old = _lived(tmp_path / "old")
    file = export(old.store, old.interface)
    assert [(farm.name, farm.twin) for farm in file.farms] == [("farm", 1)]
    assert [twin.relay for twin in file.twins] == [None, "relay.example.org", None]
    again = Genesis.model_validate_json(file.model_dump_json(exclude_defaults=True))
    new = DevChain(Store(tmp_path / "new.db"), again)
    assert _of_the_grid(new.state.values) == _of_the_grid(old.chain.state.values)
    assert new.genesis_hash != old.chain.genesis_hash
    old.close()
    new.close()


def test_an_exported_chain_goes_on(tmp_path: Path) -> None:
    old = _lived(tmp_path / "old")
    file = export(old.store, old.interface)
    old.close()
    new = Driver(tmp_path / "new", file)
    assert new.call(CHARLIE, "SmartContractModule.cancel_contract", contract_id=1).ok
    assert new.read("TfgridModule.Farms", 1)["public_ips"][0]["contract_id"] == 0
    assert new.make_twin(person("//Dave")) == 4
    new.close()


def test_the_command_prints_a_file_and_names_what_is_missing(tmp_path: Path) -> None:
    _lived(tmp_path / "old").close()
    printed = CliRunner().invoke(cli.app, ["export", "--state", str(tmp_path / "old")])
    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.stdout)["salt"] == "lived"
    missing = CliRunner().invoke(cli.app, ["export", "--state", str(tmp_path / "nothing")])
    assert missing.exit_code == 1
    assert "there is no chain in" in missing.output
    assert not (tmp_path / "nothing").exists()
