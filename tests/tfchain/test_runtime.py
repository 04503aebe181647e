"""Storage keys, values, events and calls through metadata, as the real chain wrote them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shared import report_count, vector_file, vectors
from tfchain.codec.address import decode_address
from tfchain.codec.scale import ScaleError
from tfchain.grid_events import ContractStored, TwinStored, read
from tfchain.keys import Identity
from tfchain.models import Contract, Farm, Node, NodePower, Resources, Twin
from tfchain.models.contract import deployment_hash_field
from tfchain.runtime import Call, Runtime, Version


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    raw = vector_file("tfchain-metadata-149.scale.hex").read_text().strip()
    return Runtime(bytes.fromhex(raw[2:]), Version(149, 2))


def test_storage_keys_of_the_vectors_are_built(runtime: Runtime) -> None:
    rows = vectors("tfchain")["storage_keys"]["rows"]
    for row in rows:
        keys = [_key(one) for one in row["args"]]
        assert "0x" + runtime.storage_key(row["pallet"], row["item"], *keys).hex() == row["key"], row
    report_count("tfchain storage keys", len(rows))


def test_stored_values_of_the_vectors_are_decoded(runtime: Runtime) -> None:
    rows = vectors("tfchain")["scale_values"]
    for row in rows:
        value = runtime.storage_value(*_place(row), _raw(row["value_scale"]))
        assert plain(value, row["decoded"]) == row["decoded"], row
    report_count("tfchain stored values", len(rows))


def test_stored_values_become_models(runtime: Runtime) -> None:
    count = 0
    for row in vectors("tfchain")["scale_values"]:
        pallet, item = _place(row)
        value = runtime.storage_value(pallet, item, _raw(row["value_scale"]))
        wanted = row["decoded"]
        if item == "Contracts" and wanted:
            _compare_contract(Contract.from_value(value), wanted)
        elif item == "Twins" and wanted:
            assert Twin.from_value(value).relay == wanted["relay"]
        elif item == "Farms" and wanted:
            farm = Farm.from_value(value)
            assert [ip.contract_id for ip in farm.public_ips] == [
                ip["contract_id"] for ip in wanted["public_ips"]
            ]
            assert all(str(ip.parsed().interface) == ip.ip for ip in farm.public_ips)
        elif item == "Nodes" and wanted:
            assert Node.from_value(value).resources == Resources(**wanted["resources"])
        elif item == "NodePower":
            down = wanted["state"] != "Up"
            block = wanted["state"]["Down"] if down else None
            assert NodePower.from_value(value) == NodePower(not down, wanted["target"] == "Up", block)
        else:
            continue
        count += 1
    report_count("tfchain models", count)


def _compare_contract(contract: Contract, wanted: dict[str, Any]) -> None:
    assert contract.contract_id == wanted["contract_id"]
    state = wanted["state"] if isinstance(wanted["state"], str) else next(iter(wanted["state"]))
    assert contract.state.value == state
    if state == "GracePeriod":
        assert contract.grace_since == wanted["state"]["GracePeriod"]
    if state == "Deleted":
        assert contract.deleted_because == wanted["state"]["Deleted"]
    if content := contract.node_contract:
        terms = wanted["contract_type"]["NodeContract"]
        field = deployment_hash_field(content.deployment_hash)
        assert (
            terms.get("deployment_hash_text") == field.decode()
            or terms["deployment_hash"] == "0x" + field.hex()
        )


def test_events_of_the_vectors_are_decoded(runtime: Runtime) -> None:
    rows = vectors("tfchain")["events"]["rows"]
    count = 0
    for row in rows:
        events = runtime.events(bytes.fromhex(row["hex"][2:]))
        assert row["label"].split()[0] in {event.name for event in events}
        for event, wanted in zip(events, row["events"], strict=True):
            assert f"{event.pallet}.{event.name}" == wanted["event"]
            assert event.extrinsic == (
                wanted["extrinsic_idx"] if wanted["phase"] == "ApplyExtrinsic" else None
            )
            fields = event.attributes
            unnamed = tuple(fields) == ("0",)
            got = fields["0"] if unnamed else tuple(fields.values()) if "0" in fields else fields
            assert plain(got, wanted["attributes"]) == wanted["attributes"], wanted["event"]
            count += 1
            typed = read(event)
            if event.name in {"TwinStored", "TwinUpdated"}:
                assert isinstance(typed, TwinStored)
            if event.name in {"ContractCreated", "ContractUpdated"}:
                assert isinstance(typed, ContractStored)
    report_count("tfchain events", count)


def test_a_missing_value_is_absent_or_the_default(runtime: Runtime) -> None:
    assert runtime.storage_value("TfgridModule", "Twins", None) is None
    assert runtime.storage_value("TfgridModule", "NodeIdByTwinID", None) == 0
    assert NodePower.from_value(runtime.storage_value("TfgridModule", "NodePower", None)) == NodePower(
        True, True
    )


def test_errors_have_their_names(runtime: Runtime) -> None:
    module = {"Module": {"index": 25, "error": bytes((113, 0, 0, 0))}}
    assert runtime.dispatch_error(module) == ("TfgridModule", "InvalidRelayAddress")
    assert runtime.dispatch_error("BadOrigin") == ("", "BadOrigin")
    assert runtime.dispatch_error({"Token": "FundsUnavailable"}) == ("", "Token.FundsUnavailable")
    assert runtime.dispatch_error({"Module": {"index": 26, "error": bytes((250, 0, 0, 0))}}) == (
        "SmartContractModule",
        "error 250",
    )


def test_an_unknown_name_is_refused_with_the_version(runtime: Runtime) -> None:
    with pytest.raises(ScaleError, match="Nothing in spec version 149"):
        runtime.storage_key("TfgridModule", "Nothing")
    with pytest.raises(ScaleError, match="nothing does not exist in spec version 149"):
        runtime.encode_call(Call("TfgridModule", "nothing", {}))
    with pytest.raises(ScaleError, match="takes 1 keys"):
        runtime.storage_key("TfgridModule", "Twins")


def test_calls_of_the_vectors_are_encoded(runtime: Runtime) -> None:
    call = Call("TfgridModule", "create_twin", {"relay": b"relay.dev.grid.tf", "pk": None})
    rows = vectors("tfchain")["extrinsics_149"]["rows"]
    assert "0x" + runtime.encode_call(call).hex() == rows[0]["call_hex"]
    batch = Call("Utility", "batch_all", {"calls": [runtime.call_value(call), runtime.call_value(call)]})
    assert runtime.encode_call(batch)[2:] == bytes((8,)) + runtime.encode_call(call) * 2


@pytest.mark.parametrize("text", ["", "a" * 33, "é"])
def test_a_hash_that_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        deployment_hash_field(text)


_MAPS = {
    "Twin": ("TfgridModule", "Twins"),
    "Farm": ("TfgridModule", "Farms"),
    "Node": ("TfgridModule", "Nodes"),
    "NodePower": ("TfgridModule", "NodePower"),
    "Contract": ("SmartContractModule", "Contracts"),
}
"""Where a value of a type is kept."""


def _place(row: dict[str, Any]) -> tuple[str, str]:
    return (row["pallet"], row["item"]) if "item" in row else _MAPS[row["type"]]


def _key(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.startswith("0x"):
        return bytes.fromhex(value[2:])
    if value.startswith("//"):
        uri, kind = value.split()
        return Identity(uri, "sr25519" if kind == "sr25519" else "ed25519").public_key
    return decode_address(value) if len(value) == 48 else value.encode()


def _raw(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value[2:])


def plain(value: Any, wanted: Any) -> Any:
    """A decoded value in the form of the vectors: bytes as address, text or hexadecimal, whichever is expected."""
    if isinstance(value, dict):
        wants = wanted if isinstance(wanted, dict) else {}
        names = {name: f"{name}_text" if f"{name}_text" in wants else name for name in value}
        return {names[name]: plain(one, wants.get(names[name])) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        wants = wanted if isinstance(wanted, list) else [None] * len(value)
        return [plain(one, want) for one, want in zip(value, wants, strict=False)]
    if isinstance(value, bytes) and isinstance(wanted, str):
        if wanted.startswith("0x") and len(wanted) == 2 + 2 * len(value):
            return "0x" + value.hex()
        if len(value) == 32 and (len(wanted) == 48 or wanted.startswith("//")):
            return wanted if _key(wanted) == value else value.hex()
        return value.decode()
    return value
