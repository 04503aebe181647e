"""`zos chain` as a person and as a script run it, against a development chain."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client import amounts
from client.lookalikes import lookalikes
from client.relay_text import host_names
from tests.tfchain.devchain.process import ChainProcess
from tfchain import Chain, ChainError
from tfchain.keys import Identity

LIMIT_S = 60
ALICE = Identity("//Alice", "sr25519")


class Zos:
    """The command with a profile of its own; the user's account holds 1000 TFT."""

    def __init__(self, folder: Path, chain: ChainProcess) -> None:
        self.folder = folder
        self.user = Identity.generate()
        self.user.save(folder / "user.key")
        (folder / "profiles").mkdir()
        (folder / "profiles/here.toml").write_text(
            f'[chain]\nurls = ["{chain.url}"]\n[bus]\nredis = "unix:///nowhere"\n'
            f'[user]\nkey = "{folder}/user.key"\ntwin = 1\n'
        )
        asyncio.run(self._fund(chain.url))

    async def _fund(self, url: str) -> None:
        async with Chain([url]) as chain:
            await chain.transfer(ALICE, self.user.public_key, 1000 * amounts.UNITS)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "client.cli", "chain", *arguments, "--profile", "here"],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            env={**os.environ, "ZOS_PROFILES": str(self.folder / "profiles"), "COLUMNS": "100"},
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr.strip()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainProcess]:
    process = ChainProcess(tmp_path_factory.mktemp("chain"))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def zos(tmp_path_factory: pytest.TempPathFactory, chain: ChainProcess) -> Zos:
    return Zos(tmp_path_factory.mktemp("zos"), chain)


def test_a_farmers_way(zos: Zos) -> None:
    assert zos.json("balance") == {"account": zos.user.address, "units": 1000 * amounts.UNITS}
    assert "no twin: `zos chain twin create`" in zos.refused("twin", "show")
    assert zos.json("twin", "create") == {"twin": 1}
    assert "TwinWithPubkeyExists: this account has a twin already" in zos.refused("twin", "create")
    assert "relays are host names" in zos.refused("twin", "update", "--relay", "a.example")
    shown = zos.json("twin", "update", "--relay", "relay1.example_relay2.example")
    assert shown["relay"] == "relay1.example_relay2.example"
    done = zos.run("twin", "update", "--relay", "wss://relay.example.org")
    assert "is written as relay.example.org" in done.stderr
    assert zos.json("twin", "show", "1")["relay"] == "relay.example.org"
    assert zos.json("farm", "create", "oldfarm") == {"farm": 1}
    again = zos.run("farm", "create", "0ldfarm")
    assert again.returncode != 0
    assert "looks like oldfarm" in again.stderr
    assert zos.json("farm", "create", "0ldfarm", "--yes") == {"farm": 2}
    assert zos.json("farm", "show", "oldfarm")["looks_like"] == ["0ldfarm"]
    shown = zos.json("farm", "add-ip", "1", "185.206.122.33/24", "185.206.122.1")
    assert [each["ip"] for each in shown["public_ips"]] == ["185.206.122.33/24"]
    assert "the farm has this address already" in zos.refused(
        "farm", "add-ip", "1", "185.206.122.33/24", "185.206.122.1"
    )
    assert zos.json("farm", "remove-ip", "1", "185.206.122.33/24")["public_ips"] == []
    assert "there is no farm nowhere" in zos.refused("farm", "show", "nowhere")


def test_nodes_and_contracts_that_are_not_there_are_named(zos: Zos) -> None:
    assert "there is no node 77 on this chain" in zos.refused("node", "show", "77")
    assert "there is no contract 77 on this chain" in zos.refused("contract", "show", "77")
    assert "ContractNotExists" in zos.refused("contract", "cancel", "77")
    assert "'sideways' is no power target: up or down" in zos.refused("node", "power", "1", "sideways")
    assert "--gateway4" in zos.refused("node", "public-config", "1", "--ip4", "185.206.122.40/24")


def test_tokens_go_where_they_are_sent(zos: Zos) -> None:
    before = zos.json("balance", ALICE.address)["units"]
    done = zos.run("transfer", ALICE.address, "1.5")
    assert done.stdout.strip() == f"sent 1.5000000 TFT to {ALICE.address}", done.stderr
    # //Alice is the block author too and gets the fee.
    assert 15_000_000 < zos.json("balance", ALICE.address)["units"] - before < 15_100_000
    assert "is no amount" in zos.refused("transfer", ALICE.address, "much")
    assert "7 decimal places" in zos.refused("transfer", ALICE.address, "0.00000001")
    zos.refused("transfer", "nobody", "1")


def test_events_are_shown_with_whole_tokens_and_as_json(zos: Zos) -> None:
    done = zos.run("events", "--blocks", "1000", "--json")
    names = {json.loads(line)["event"] for line in done.stdout.splitlines()}
    assert "Transfer" in names
    plain = zos.run("events", "--blocks", "1000")
    assert "TransactionFeePaid" not in plain.stdout
    assert plain.returncode == 0


@pytest.mark.parametrize(("text", "units"), [("1", 10**7), ("0.0000001", 1), ("12.5", 125_000_000)])
def test_amounts_are_read_and_shown_to_the_unit(text: str, units: int) -> None:
    assert amounts.parse(text) == units
    assert amounts.parse(amounts.show(units).removesuffix(" TFT")) == units


@pytest.mark.parametrize("text", ["", "-1", "0", "NaN", "Infinity", "1e30", "1,5"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        amounts.parse(text)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("wss://relay.example.org", "relay.example.org"),
        ("relay.example.org:443", "relay.example.org"),
        ("https://one.example/ws,two.example", "one.example_two.example"),
        ("", ""),
    ],
)
def test_relays_are_written_as_the_chain_takes_them(given: str, written: str) -> None:
    assert host_names(given) == written


def test_a_relay_with_a_port_of_its_own_cannot_be_registered() -> None:
    with pytest.raises(ValueError, match="has port 8443"):
        host_names("relay.example.org:8443")


def test_names_that_a_quick_eye_takes_for_each_other() -> None:
    assert lookalikes("modern", ["modem", "m0dern", "mo-dern", "modern", "other"]) == [
        "m0dern",
        "mo-dern",
        "modem",
    ]


def test_a_contract_shows_its_discount_and_what_ends_it(zos: Zos, chain: ChainProcess) -> None:
    async def reserve() -> int:
        async with Chain([chain.url]) as client:
            for step in (client.accept_terms, client.create_twin):
                try:
                    await step(zos.user)
                except ChainError:
                    pass  # another test was here first
            return await client.create_name_contract(zos.user, "shown")

    number = asyncio.run(reserve())
    chain.rpc("dev_newBlock", {"count": 10, "step": 360_000})
    shown = zos.json("contract", "show", str(number))
    assert shown["last_bill"]["discount"] == "60 %"
    assert shown["last_bill"]["discount_ends"] == "when the balance pays for less than 18 months"
    assert shown["owed"]["bills"] == 1
