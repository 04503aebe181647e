"""Probes for an address, and what counts as an answer."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from provisioners.system.address_probe import arp_probe, claimant, nd_probe

ADDRESS, ADDRESS6 = IPv4Address("185.206.122.33"), IPv6Address("2001:db8:1:0:60cc:ecff:fe84:208")
ASKER, HOLDER = "02:00:00:00:00:01", "02:00:00:00:00:02"


def test_a_probe_names_no_sender_and_is_not_an_answer() -> None:
    frame = arp_probe(ADDRESS, ASKER)
    assert frame[28:32] == bytes(4)
    assert frame[38:42] == ADDRESS.packed
    assert claimant(frame, ADDRESS) is None
    assert claimant(nd_probe(ADDRESS6, ASKER), ADDRESS6) is None


def test_whoever_sends_arp_from_the_address_claims_it() -> None:
    frame = bytearray(arp_probe(ADDRESS, HOLDER))
    frame[28:32] = ADDRESS.packed
    assert claimant(bytes(frame), ADDRESS) == HOLDER
    assert claimant(bytes(frame), ADDRESS + 1) is None


def test_a_neighbour_advertisement_claims_its_target() -> None:
    frame = bytearray(nd_probe(ADDRESS6, HOLDER))
    frame[54] = 136
    assert claimant(bytes(frame), ADDRESS6) == HOLDER
    assert claimant(bytes(frame), ADDRESS6 + 1) is None


def test_a_solicitation_has_the_checksum_that_a_receiver_expects() -> None:
    frame = nd_probe(IPv6Address("fe80::1"), ASKER)
    pseudo = frame[22:54] + len(frame[54:]).to_bytes(4) + (58).to_bytes(4)
    data = pseudo + frame[54:]
    total = sum(int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


def test_short_frames_are_no_answer() -> None:
    for length in range(60):
        assert claimant(bytes(length), ADDRESS) is None
        assert claimant(bytes(length), ADDRESS6) is None
