"""The codec against the recorded vectors of the chain."""

from __future__ import annotations

from typing import Any

from tests.shared import report_count, vectors
from tests.tfchain.devchain.plain import Plain
from tfchain.codec.extrinsic import (
    Era,
    decode_extrinsic,
    extrinsic_hash,
    signing_payload,
)
from tfchain.codec.hashing import blake2_128, storage_key, twox_64, twox_128
from tfchain.codec.header import Header
from tfchain.devchain.interface import interface
from tfchain.keys import verify

TYPES = {
    "Twin": ("TfgridModule", "Twins"),
    "Farm": ("TfgridModule", "Farms"),
    "Node": ("TfgridModule", "Nodes"),
    "NodePower": ("TfgridModule", "NodePower"),
    "Contract": ("SmartContractModule", "Contracts"),
}
ALICE = {"//Alice sr25519": "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"}


def test_stored_values_decode_to_what_was_recorded_and_encode_to_the_same_bytes() -> None:
    rows = vectors("tfchain")["scale_values"]
    plain = Plain(interface().metadata)
    for row in rows:
        pallet, item = (row["pallet"], row["item"]) if "pallet" in row else TYPES[row["type"]]
        entry = interface().metadata.pallet(pallet).entry(item)
        type_id = entry.value
        if row["value_scale"] is None:  # a missing key
            assert row["decoded"] == (None if entry.optional else plain.decode(type_id, entry.default))
            continue
        raw = _raw(row["value_scale"])
        assert plain.decode(type_id, raw) == _expected(row["decoded"]), row
        assert interface().codec.encode(type_id, interface().codec.decode(type_id, raw)) == raw
    report_count("tfchain scale values", len(rows))


def test_storage_keys_are_the_recorded_ones() -> None:
    rows = vectors("tfchain")["storage_keys"]["rows"]
    for row in rows:
        hashed = tuple(
            (hasher, _raw(key)) for hasher, key in zip(row["hashers"], row["args_scale"], strict=True)
        )
        assert storage_key(row["pallet"], row["item"], hashed) == _raw(row["key"]), row
        entry = interface().metadata.pallet(row["pallet"]).entry(row["item"])
        assert list(entry.hashers) == row["hashers"]
    report_count("tfchain storage keys", len(rows))


def test_hashers_give_the_recorded_digests() -> None:
    functions = {"twox128": twox_128, "twox64": twox_64, "blake2_128": blake2_128}
    rows = vectors("tfchain")["hashers"]
    for call, digest in rows.items():
        name, argument = call.rstrip(")").split("(")
        data = argument.strip('"').encode() if argument.startswith('"') else _raw(argument)
        assert functions[name](data) == _raw(digest), call
    report_count("tfchain hashers", len(rows))


def test_event_lists_decode_completely_to_the_recorded_events() -> None:
    rows = vectors("tfchain")["events"]["rows"]
    plain = Plain(interface().metadata)
    for row in rows:
        records = plain.decode(interface().event_records_type, _raw(row["hex"]))
        assert [_event(record) for record in records] == row["events"], row["label"]
        raw = _raw(row["hex"])
        decoded = interface().codec.decode(interface().event_records_type, raw)
        assert interface().codec.encode(interface().event_records_type, decoded) == raw
    report_count("tfchain events", len(rows))


def test_the_recorded_header_hashes_to_its_block_hash() -> None:
    recorded = vectors("tfchain")["header"]
    header = Header.from_json(recorded["header"])
    assert header.encode() == _raw(recorded["scale"])
    assert header.hash == _raw(recorded["hash"])
    assert Header.decode(header.encode()) == header
    assert Header.from_json(header.to_json()) == header
    report_count("tfchain header", 1)


def test_extrinsics_decode_hash_and_verify_as_recorded() -> None:
    both = vectors("tfchain")
    rows = [*both["extrinsics"]["rows"], *both["extrinsics_149"]["rows"]]
    for row in rows:
        encoded = _raw(row["extrinsic_hex"])
        extrinsic = decode_extrinsic(encoded)
        signer = extrinsic.signer
        assert signer is not None
        assert extrinsic.call == _raw(row["call_hex"])
        assert (signer.extra.nonce, signer.extra.tip) == (row["nonce"], row["tip"])
        assert signer.extra.era == _era(row["era"])
        genesis = _raw(row["genesis_hash"])
        birth = _raw(row.get("checkpoint_block_hash", row["genesis_hash"]))
        payload = signing_payload(
            extrinsic.call, signer.extra, row["spec_version"], row["transaction_version"], genesis, birth
        )
        assert payload == _raw(row.get("bytes_signed_hex") or row["signing_payload_hex"])
        assert verify(signer.account, payload, signer.signature, "ed25519")
        assert extrinsic.encode() == encoded
        assert extrinsic_hash(encoded) == _raw(row["extrinsic_hash"])
        call = interface().decode_call(extrinsic.call)
        assert f"{call.pallet}.{call.name}" == row["call"].split("(")[0]
        if "fee_if_executed" in row:
            assert row["fee_if_executed"] == 10_000 + len(encoded) + row["tip"]
    report_count("tfchain extrinsics", len(rows))


def test_the_timestamp_inherent_is_the_recorded_one() -> None:
    from tfchain.codec.extrinsic import Extrinsic

    call = interface().encode_call("Timestamp", "set", {"now": 1_700_000_000_000})
    assert Extrinsic(call).encode() == _raw(vectors("tfchain")["inherent"]["timestamp_set_1700000000000"])


def _era(given: Any) -> Era:
    if given == "immortal":
        return Era()
    mortal = given["mortal"]
    era = Era.mortal(mortal["period"], mortal["current_block"])
    assert era.birth(mortal["current_block"]) == mortal["birth_block"]
    return era


def _event(record: Any) -> Any:
    ((pallet, inner),) = record["event"].items()
    name, content = (inner, None) if isinstance(inner, str) else next(iter(inner.items()))
    phase, index = next(iter(record["phase"].items())) if isinstance(record["phase"], dict) else (
        record["phase"], None,
    )  # fmt: skip
    return {"phase": phase, "extrinsic_idx": index, "event": f"{pallet}.{name}", "attributes": content}


def _expected(decoded: Any) -> Any:
    """The vector's value with its shorthands written out."""
    if isinstance(decoded, dict):
        found = {}
        for name, value in decoded.items():
            if name == "deployment_hash_text":
                found["deployment_hash"] = "0x" + value.encode().hex()
            else:
                found[name.removesuffix("_text")] = _expected(value)
        return found
    if isinstance(decoded, list):
        return [_expected(each) for each in decoded]
    return ALICE.get(decoded, decoded) if isinstance(decoded, str) else decoded


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])
