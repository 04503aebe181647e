"""The life of a twin with the unmodified py-substrate-interface.  Prints one JSON object for each step."""

from __future__ import annotations

import json
import sys
from typing import Any

from substrateinterface import Keypair, SubstrateInterface


def say(step: str, value: Any) -> None:
    print(json.dumps({"step": step, "value": value}), flush=True)


def main(url: str) -> None:
    chain = SubstrateInterface(url=url)
    chain.init_runtime()
    user = Keypair.create_from_uri("//Dave")
    say("connected", chain.runtime_version)

    def send(module: str, function: str, arguments: dict[str, Any]) -> Any:
        call = chain.compose_call(module, function, arguments)
        extrinsic = chain.create_signed_extrinsic(call, user)
        return chain.submit_extrinsic(extrinsic, wait_for_inclusion=True)

    send(
        "TfgridModule",
        "user_accept_tc",
        {"document_link": "https://example.org/terms", "document_hash": "1a2b"},
    )
    twin = send("TfgridModule", "create_twin", {"relay": None, "pk": None})
    say("twin", any(event.value["event_id"] == "TwinStored" for event in twin.triggered_events))
    say("twin id", chain.query("TfgridModule", "TwinIdByAccountID", [user.ss58_address]).value)
    made = send("SmartContractModule", "create_name_contract", {"name": "pyname"})
    created = next(
        event.value["attributes"]
        for event in made.triggered_events
        if event.value["event_id"] == "ContractCreated"
    )
    say("contract", created["contract_id"])
    stored = chain.query("SmartContractModule", "Contracts", [created["contract_id"]]).value
    say("contract name", stored["contract_type"]["NameContract"]["name"])
    missing = send("SmartContractModule", "cancel_contract", {"contract_id": 999999})
    say("module error", missing.error_message["name"])
    say("restart", None)
    sys.stdin.readline()
    chain = SubstrateInterface(url=url)  # the call that notices the lost connection would fail
    gone = send("SmartContractModule", "cancel_contract", {"contract_id": created["contract_id"]})
    say(
        "cancelled", any(event.value["event_id"] == "NameContractCanceled" for event in gone.triggered_events)
    )
    say("head", chain.get_block_number(None) > 0)


main(sys.argv[1])
