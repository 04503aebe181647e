"""Which address of a contract a workload gets."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Interface
from pathlib import Path

import pytest

from provisioners.ip.record import AddressRecord, choose
from provisioners.protocol import OwnerFile, ReservedIp, WorkloadError

GATEWAY = IPv4Address("185.206.122.1")
RESERVED = [ReservedIp(IPv4Interface(f"185.206.122.{last}/24"), GATEWAY) for last in (33, 34)]


def record(last: int, *, length: int = 24) -> AddressRecord:
    address = IPv4Interface(f"185.206.122.{last}/{length}")
    return AddressRecord("p-x", "02:00:00:00:00:01", address, GATEWAY, None, probed=True)


def test_the_first_free_address_in_the_contract_s_order() -> None:
    assert choose(RESERVED, None, []) == RESERVED[0]
    assert choose(RESERVED, None, [record(33)]) == RESERVED[1]


def test_addresses_are_compared_and_not_texts() -> None:
    assert choose(RESERVED, None, [record(33, length=32)]) == RESERVED[1]


def test_a_workload_keeps_its_address() -> None:
    assert choose(RESERVED, RESERVED[1].address, [record(33)]) == RESERVED[1]
    assert choose(RESERVED, RESERVED[1].address, []) == RESERVED[1]


def test_too_few_addresses() -> None:
    with pytest.raises(WorkloadError, match="required 3 ips while contract has 2 ip reserved"):
        choose(RESERVED, None, [record(33), record(34)])
    with pytest.raises(WorkloadError, match="required 1 ips while contract has 0 ip reserved"):
        choose([], None, [])


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    owner = OwnerFile(tmp_path / "x.json")
    wanted = AddressRecord(
        "p-x", "02:00:00:00:00:01", None, None, IPv6Interface("2001:db8::1/64"), probed=False
    )
    wanted.write(owner)
    assert AddressRecord.read(owner) == wanted
    assert wanted.result().ip6 == "2001:db8::1/64"
    assert wanted.result().ip == ""
