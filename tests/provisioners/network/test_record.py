"""Ports and leases: who holds what is decided before anything is made (weakness W-1)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from provisioners.network.record import PORT_TAKEN, NetworkRecord, reserve
from provisioners.protocol import OwnerFile, WorkloadError
from provisioners.system.prefixes import NDMZ_RANGE
from tests.provisioners.network.test_spec import network, spec_of

SPEC = spec_of(network())
OTHER = NetworkRecord("other", 27, "x", SPEC.ip_range, SPEC.subnet, (8000,), IPv4Address("100.127.9.9"))


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    owner = OwnerFile(tmp_path / "26-1000-net.json")
    record = reserve(SPEC, None, [])
    record.write(owner)
    assert NetworkRecord.read(owner) == record
    owner.write({"format": 9})
    with pytest.raises(ValueError, match="format 9 is unknown"):
        NetworkRecord.read(owner)


def test_a_port_of_another_network_or_of_the_node_is_refused() -> None:
    for taken in (replace(OTHER, ports=(7001,)), replace(OTHER, ports=(7100, 7001))):
        with pytest.raises(WorkloadError, match=PORT_TAKEN):
            reserve(SPEC, None, [taken])
    with pytest.raises(WorkloadError, match=PORT_TAKEN):
        reserve(spec_of(network(wireguard_listen_port=9943)), None, [])


def test_during_a_change_both_ports_are_held_and_then_only_the_new_one() -> None:
    record = reserve(SPEC, None, [])
    changed = reserve(spec_of(network(wireguard_listen_port=7002)), record, [OTHER])
    assert changed.ports == (7002, 7001)
    assert changed.lease == record.lease
    assert changed.only(7002).ports == (7002,)


def test_a_network_that_comes_back_gets_its_lease_again_and_none_is_given_twice() -> None:
    first = reserve(SPEC, None, []).lease
    assert reserve(SPEC, None, [OTHER]).lease == first
    assert first in NDMZ_RANGE
    assert first > IPv4Address("100.127.0.1")
    assert reserve(SPEC, None, [replace(OTHER, lease=first)]).lease == first + 1
