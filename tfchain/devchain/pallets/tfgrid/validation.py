"""Which texts and numbers TfgridModule takes.

Each function raises the module error that the real runtime gives.  Upper limits are not looked at here: a text that
is too long never becomes a call (`BoundedVec` in the declarations).
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from tfchain.devchain.dispatch import ModuleFailure
from tfchain.devchain.pallets.tfgrid.store import error
from tfchain.devchain.records import GatewayAddress, Interface, Location, PublicConfig, Resources

GIB = 1 << 30
LEAST_SRU = 100 * GIB
LEAST_CRU = 1
LEAST_MRU = 2 * GIB

_REFUSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
        "240.0.0.0/4",
    )
)  # fmt: skip
_REFUSED_V6 = tuple(IPv6Network(text) for text in ("fc00::/7", "fe80::/10", "ff00::/8"))

_DOCUMENT_LINK = re.compile(rb"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]*")
_DOCUMENT_HASH = re.compile(rb"[A-Za-z0-9\-_]*")
_FARM_NAME = re.compile(rb"[A-Za-z0-9\-_]*")
_RELAY = re.compile(rb"[A-Za-z0-9\-_]{2,}(\.[A-Za-z0-9\-_]+)*")
_DOMAIN = re.compile(rb"[A-Za-z0-9\-.]*")
_INTERFACE_NAME = re.compile(rb"[a-z0-9\-_]*")
_MAC = re.compile(rb"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_DECIMAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_PREFIX = re.compile(r"0|[1-9]\d{0,2}")


def document(link: bytes, digest: bytes) -> None:
    """Link and hash of accepted terms."""
    if not link:
        raise error("DocumentLinkInputTooShort")
    if not _DOCUMENT_LINK.fullmatch(link):
        raise error("InvalidDocumentLinkInput")
    if not digest:
        raise error("DocumentHashInputTooShort")
    if not _DOCUMENT_HASH.fullmatch(digest):
        raise error("InvalidDocumentHashInput")


def relay(text: bytes | None) -> None:
    """Host names joined by `_`; the first label has at least two characters (a quirk that is kept)."""
    if text is not None and not _RELAY.fullmatch(text):
        raise error("InvalidRelayAddress")


def farm_name(name: bytes) -> None:
    if len(name) < 3:
        raise error("FarmNameTooShort")
    if not _FARM_NAME.fullmatch(name):
        raise error("InvalidFarmName")


def farm_address(ip: bytes, gateway: bytes) -> None:
    """An IPv4 address that a farm rents out: CIDR text, public, its gateway in the same network."""
    if not _is_public(ip, gateway, 4):
        raise error("InvalidPublicIP")


def public_config(config: PublicConfig) -> None:
    good = (
        _is_public(config.ip4.ip, config.ip4.gw, 4)
        and (config.ip6 is None or _is_public_v6(config.ip6))
        and (config.domain is None or _DOMAIN.fullmatch(config.domain) is not None)
    )
    if not good:
        raise error("InvalidPublicConfig")


def resources(given: Resources) -> None:
    if given.sru < LEAST_SRU:
        raise error("InvalidSRUInput")
    if given.cru < LEAST_CRU:
        raise error("InvalidCRUInput")
    if given.mru < LEAST_MRU:
        raise error("InvalidMRUInput")


def location(given: Location) -> None:
    if not given.city:
        raise error("CityNameTooShort")
    if len(given.country) < 2:
        raise error("CountryNameTooShort")
    _degrees(given.latitude, 90, "Latitude")
    _degrees(given.longitude, 180, "Longitude")


def interface(given: Interface) -> None:
    if len(given.name) < 3:
        raise error("InterfaceNameTooShort")
    if not _INTERFACE_NAME.fullmatch(given.name):
        raise error("InvalidInterfaceName")
    if len(given.mac) < 17:
        raise error("InterfaceMacTooShort")
    if not _MAC.fullmatch(given.mac):
        raise error("InvalidMacAddress")
    for ip in given.ips:
        if len(ip) < 7:
            raise error("InterfaceIpTooShort")
        if not _is_plain_address(ip):
            raise error("InvalidInterfaceIP")


def country_and_city(country: bytes, city: bytes) -> None:
    """Of an entity; the order differs from a node's location."""
    if len(country) < 2:
        raise error("CountryNameTooShort")
    if not city:
        raise error("CityNameTooShort")


def _degrees(text: bytes, limit: int, name: str) -> None:
    if not text:
        raise error(f"{name}InputTooShort")
    if text == b"Unknown":
        return
    if not _DECIMAL.fullmatch(text) or abs(float(text)) > limit:
        raise _invalid(name)


def _invalid(name: str) -> ModuleFailure:
    return error(f"Invalid{name}Input")


def _is_plain_address(text: bytes) -> bool:
    """IPv4 or IPv6 text without prefix, scope or embedded IPv4."""
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        return False
    return address.version == 4 or not (b"." in text or b"%" in text)


def _is_public_v6(given: GatewayAddress) -> bool:
    return _is_public(given.ip, given.gw, 6)


def _is_public(cidr: bytes, gateway: bytes, version: int) -> bool:
    """Both are public unicast, and the gateway is another address of the same network."""
    try:
        address, _, prefix = cidr.decode("ascii").partition("/")
        if not _PREFIX.fullmatch(prefix) or not _is_plain_address(address.encode()):
            return False
        interface = ipaddress.ip_interface(f"{address}/{prefix}")
        if not _is_plain_address(gateway):
            return False
        through = ipaddress.ip_address(gateway.decode("ascii"))
    except ValueError:
        return False
    if interface.version != version or through.version != version or through == interface.ip:
        return False
    if through not in interface.network:
        return False
    refused = _REFUSED_V4 if isinstance(interface, IPv4Interface) else _REFUSED_V6
    assert isinstance(interface, IPv4Interface | IPv6Interface)
    return not any(interface.ip in network or through in network for network in refused)
