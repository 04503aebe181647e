"""Texts of rules: nft itself reads them (without touching the kernel's), and what matters stands in them."""

from __future__ import annotations

import subprocess
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from provisioners.system import nft_guest, nft_network
from provisioners.system.nft_guest import TapFilter
from provisioners.system.prefixes import closed_prefixes

CLOSED = closed_prefixes([], [])
SUBNET = (IPv4Network("10.1.2.0/24"), IPv4Network("10.1.0.0/16"), IPv6Network("fd4e:4653:4868:2::/64"))
PLANETARY = IPv6Network("303:45bf:8a48:8361::/64")
BASE = nft_guest.base_table(("eth0", "tozos", "v-npub4"), CLOSED)


def tap(**changes: object) -> TapFilter:
    values: dict[str, object] = {
        "tap": "t-N5mRgNe3HLXxh",
        "mac": "ee:e2:cd:c2:38:2d",
        "ipv4": IPv4Address("10.1.2.5"),
        "ipv6": IPv6Address("fd4e:4653:4868:2::5"),
    }
    return TapFilter(**(values | changes))  # type: ignore[arg-type]  # values of mixed types


@pytest.mark.root
@pytest.mark.parametrize(
    "text",
    [
        nft_network.network_resource("NFSHhr5U6X8py", *SUBNET, wireguard_mtu=1420),
        nft_network.ndmz(CLOSED, PLANETARY, exit6=True),
        nft_network.ndmz([], None, exit6=False),
        nft_network.public(PLANETARY),
        nft_network.public(None)
        + nft_network.public_port(7001, open=True)
        + nft_network.public_port(7001, open=False),
        BASE + BASE,
        BASE + nft_guest.install(tap()) * 2 + nft_guest.remove("t-N5mRgNe3HLXxh") * 2,
        BASE + nft_guest.install(tap(ipv4=None)) + nft_guest.install(tap(ipv6=None, on_lan=True)),
        BASE + nft_guest.install(tap(on_lan=True)),
        nft_guest.remove("p-neverexisted"),
    ],
)
def test_nft_understands_the_text(text: str) -> None:
    done = subprocess.run(
        ["unshare", "--net", "nft", "-f", "-"], input=text, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_all_chains_of_namespaces_drop_what_no_rule_allows() -> None:
    texts = (
        nft_network.network_resource("NFSHhr5U6X8py", *SUBNET, wireguard_mtu=1420),
        nft_network.ndmz(CLOSED, PLANETARY, exit6=True),
        nft_network.public(PLANETARY),
    )
    for text in texts:
        assert text.count("hook input priority filter; policy drop") == 1
        assert text.count("hook forward priority filter; policy drop") == 1


def test_a_filter_is_named_for_its_workload() -> None:
    assert nft_guest.install(tap(tap="p-Ui2iw15uzcoC3")).startswith(
        "add chain bridge filter r-Ui2iw15uzcoC3-pre\n"
    )


def test_ipv6_leaves_only_once_the_lan_is_known() -> None:
    assert 'oifname "npub6" ip6' not in nft_network.ndmz(CLOSED, None, exit6=False)
    assert 'oifname "npub6" ip6 saddr fd00::/64 ip6 daddr != @closed6 accept' in nft_network.ndmz(
        CLOSED, None, exit6=True
    )
