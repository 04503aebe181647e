"""Each kind of value is read and written as the Go packages do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from gridtypes import (
    Capacity,
    ContractId,
    DecodeError,
    Deployment,
    DeploymentId,
    InvalidData,
    InvalidId,
    InvalidName,
    Name,
    Result,
    Signature,
    SignatureRequest,
    SignatureRequirement,
    TwinId,
    Workload,
    WorkloadId,
    WorkloadType,
    check_name,
    json_output,
    network_id,
    results,
    workloads,
)
from gridtypes.addresses import is_loopback, parse_ip
from gridtypes.backend import backend_address, backend_ip, check_backend, check_backends_on_node
from gridtypes.kinds import HEX, IP, IPNET, TIMESTAMP, Kind, decode
from gridtypes.mac import format_mac, parse_mac
from gridtypes.workloads import GatewayFQDNProxy, GatewayNameProxy, ZLogs
from tests.gridtypes.golden import has_own_text, raw, same_error, section
from tests.shared import report_count, vectors


def text_of(act: Callable[..., Any], *arguments: Any) -> str | None:
    """The text of the error that `act` raises, if any."""
    try:
        act(*arguments)
    except ValueError as error:
        return str(error)
    return None


def test_names() -> None:
    entries = section("names")
    for entry in entries:
        assert text_of(check_name, entry["name"]) == entry["error"], entry
    report_count("gridtypes names", len(entries))


def test_network_ids_and_unique_names() -> None:
    ids = vectors("gridtypes")["ids"]
    for entry in ids["network_id"]:
        assert network_id(entry["twin"], entry["name"]) == entry["network_id"]
    for entry in ids["unique"]:
        assert WorkloadId.parse(entry["id"]).unique(entry["n"]) == entry["unique"]
    report_count("gridtypes ids", len(ids["network_id"]) + len(ids["unique"]))


def test_written_ids_are_scanned_leniently() -> None:
    ids = vectors("gridtypes")["ids"]
    for entry in ids["workload_id_parts"]:
        if "error" in entry:
            with pytest.raises(InvalidId, match=f"^{re.escape(entry['error'])}$"):
                WorkloadId.parse(entry["id"])
        else:
            parsed = WorkloadId.parse(entry["id"])
            assert (parsed.twin, parsed.contract, parsed.name) == (
                entry["twin"],
                entry["contract"],
                entry["name"],
            )
    for entry in ids["deployment_id_parts"]:
        if "error" in entry:
            with pytest.raises(InvalidId, match=f"^{re.escape(entry['error'])}$"):
                DeploymentId.parse(entry["id"])
        else:
            assert DeploymentId.parse(entry["id"]) == DeploymentId(entry["twin"], entry["deployment"])
    report_count("gridtypes id texts", len(ids["workload_id_parts"]) + len(ids["deployment_id_parts"]))


def test_well_formed_ids_have_a_path() -> None:
    for entry in vectors("gridtypes")["ids"]["workload_id_parts"]:
        if "error" not in entry and str(WorkloadId.parse(entry["id"])) == entry["id"]:
            assert WorkloadId.parse(entry["id"]).path == entry["path"]


def compare_value(kind: Kind[Any], json: bytes, entry: dict[str, Any]) -> Any:
    """Decode `json`; returns the value, or None after comparing the error."""
    expected = entry.get("error")
    if expected is None:
        return decode(kind, json)
    with pytest.raises(DecodeError) as caught:
        decode(kind, json)
    if not has_own_text(entry, expected):
        assert caught.value.reason.startswith(expected)
    return None


def test_timestamps() -> None:
    entries = section("timestamps")
    for entry in entries:
        value = compare_value(TIMESTAMP, entry["json"].encode(), entry)
        if "value" in entry:
            assert value == entry["value"], entry
            assert TIMESTAMP.encode(value).decode() == entry["reencoded"]
    report_count("gridtypes timestamps", len(entries))


def test_networks() -> None:
    entries = section("ipnets")
    for entry in entries:
        value = compare_value(IPNET, json_output.quote(entry["text"]), entry)
        if "json" in entry:
            assert IPNET.encode(value).decode() == entry["json"], entry
            assert IPNET.challenge(value).decode() == entry["challenge_text"]
            assert (value is None) is entry["nil"]
    report_count("gridtypes ipnets", len(entries))


def test_addresses() -> None:
    entries = section("ips")
    for entry in entries:
        value = compare_value(IP, json_output.quote(entry["text"]), entry)
        if "json" in entry:
            assert IP.encode(value).decode() == entry["json"], entry
            assert IP.challenge(value).decode() == entry["challenge_text"]
            assert (value is not None and is_loopback(value)) is entry["loopback"]
    report_count("gridtypes ips", len(entries))


def test_hex_texts() -> None:
    entries = section("hex_bytes")
    for entry in entries:
        value = compare_value(HEX, entry["json"].encode(), entry)
        if "reencoded" in entry:
            assert HEX.encode(value).decode() == entry["reencoded"], entry
            assert HEX.challenge(value).decode() == entry["challenge_text"]
    report_count("gridtypes hex", len(entries))


def test_hardware_addresses() -> None:
    entries = section("macs")
    for entry in entries:
        if "error" in entry:
            assert text_of(parse_mac, entry["text"]) == entry["error"]
        else:
            assert f'"{format_mac(parse_mac(entry["text"]))}"' == entry["json"]
    report_count("gridtypes macs", len(entries))


def test_backends() -> None:
    entries = section("backends")
    for entry in entries:
        backend = entry["backend"]
        assert text_of(check_backend, backend, False) == entry["error_plain"]
        assert text_of(check_backend, backend, True) == entry["error_tls"]
        assert text_of(backend_address, backend) == entry.get("address_error")
        assert text_of(backend_ip, backend) == entry.get("ip_error")
        if "address" in entry:
            assert backend_address(backend) == entry["address"]
        if "ip" in entry:
            assert str(backend_ip(backend)) == entry["ip"]
    report_count("gridtypes backends", len(entries))


def test_lists_of_backends_on_a_node() -> None:
    entries = section("backend_lists")
    for entry in entries:
        node_ips = [parse_ip(text) for text in entry["node_ips"]]
        for tls, key in ((False, "error_plain"), (True, "error_tls")):
            assert text_of(check_backends_on_node, entry["backends"], tls, node_ips) == entry[key]
    report_count("gridtypes backend lists", len(entries))


class OneMachine:
    """A deployment with one zmachine, for the rule about logs."""

    machine = Workload(name=Name("vm"), type=WorkloadType.ZMACHINE)

    def find(self, name: str) -> Workload:
        return self.machine

    def by_type(self, *types: WorkloadType) -> list[Workload]:
        return [self.machine]


def test_outputs_of_logs() -> None:
    entries = section("zlogs_outputs")
    for entry in entries:
        logs = ZLogs(zmachine=Name("vm"), output=entry["output"])
        assert text_of(logs.check, OneMachine()) == entry["error"], entry
    report_count("gridtypes zlogs outputs", len(entries))


def test_names_of_gateways() -> None:
    entries = section("gateway_names")
    for entry in entries:
        name = GatewayNameProxy(name=entry["text"], backends=["http://1.1.1.1"])
        fqdn = GatewayFQDNProxy(fqdn=entry["text"], backends=["http://1.1.1.1"])
        assert text_of(name.check, OneMachine()) == entry["error_as_name"]
        assert text_of(fqdn.check, OneMachine()) == entry["error_as_fqdn"]
    report_count("gridtypes gateway names", len(entries))


def test_results() -> None:
    entries = section("results")
    for entry in entries:
        result = Result.from_json(entry["json"])
        assert result.to_json().decode() == entry["reencoded"]
        assert result.is_nil is entry["is_nil"]
        assert result.is_okay is entry["is_okay"]
        assert result.as_bytes().hex() == entry["bytes_hex"]
        assert text_of(result.check) == entry["valid_error"]
    report_count("gridtypes results", len(entries))


def test_results_of_machines() -> None:
    entries = section("zmachine_results")
    for entry in entries:
        if "decode_error" in entry:
            with pytest.raises(DecodeError):
                results.ZMachineResult.from_json(entry["json"])
        else:
            assert results.ZMachineResult.from_json(entry["json"]).to_json().decode() == entry["reencoded"]
    report_count("gridtypes zmachine results", len(entries))


def test_texts() -> None:
    entries = section("string_encoding")
    for entry in entries:
        assert json_output.quote(entry["text"]).decode() == entry["encoded"]
    report_count("gridtypes texts", len(entries))


def test_result_data_keep_their_keys() -> None:
    entries = section("result_data_encoding")
    for entry in entries:
        type, _, variant = entry["type"].partition(" ")
        if entry["encoded"] == "null":
            assert not any(WorkloadType(name) in results.RESULT_MODELS for name in ("network", "zlogs"))
            continue
        model = results.RESULT_MODELS[WorkloadType(type)]
        data = model() if variant == "(zero value)" else model.from_json(entry["encoded"])
        assert data.to_json().decode() == entry["encoded"]
    report_count("gridtypes result data", len(entries))


def test_zero_values() -> None:
    models = {
        model.__name__: model
        for model in (
            Deployment,
            SignatureRequirement,
            SignatureRequest,
            Signature,
            Workload,
            Result,
            Capacity,
            workloads.Peer,
            workloads.Mycelium,
            workloads.MyceliumIP,
            workloads.MachineInterface,
            workloads.MachineMount,
            workloads.MachineNetwork,
            workloads.MachineCapacity,
            workloads.ZdbGroup,
            workloads.ZdbBackend,
        )
    }
    entries = section("zero_values")
    for entry in entries:
        name = entry["object"]
        model = models[name] if name in models else workloads.DATA_MODELS[WorkloadType(name)]
        assert model().to_json().decode() == entry["zero_value_encoded"]
    report_count("gridtypes zero values", len(entries))


def test_texts_of_deployments() -> None:
    entries = section("deployment_decode")
    for entry in entries:
        json = raw(entry, "json")
        if entry["error"] is None:
            assert Deployment.from_json(json).to_json() == raw(entry, "reencoded"), entry
            continue
        with pytest.raises(DecodeError):
            Deployment.from_json(json)
    report_count("gridtypes deployment texts", len(entries))


def test_texts_of_data() -> None:
    entries = section("data_decode")
    for entry in entries:
        workload = Workload(type=entry["type"], data=raw(entry, "data"))
        if entry["error"] is not None:
            with pytest.raises(InvalidData) as caught:
                workload.load()
            same_error(entry, entry["error"], caught.value)
            continue
        data = workload.load()
        assert data.to_json().decode() == entry["reencoded"], entry
        assert data.challenge().hex() == entry["data_challenge_hex"]
        assert {key: getattr(data.capacity(), key) for key in entry["capacity"]} == entry["capacity"]
    report_count("gridtypes data texts", len(entries))


def test_a_bad_name_is_refused_where_an_id_is_made() -> None:
    with pytest.raises(InvalidName):
        WorkloadId.checked(TwinId(1), ContractId(2), "my-vm")
