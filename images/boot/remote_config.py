"""The signed list of a run mode's services that the node fetches, so that addresses can move without a new stick.

It is the JSON object that the grid keeps for each network (`substrate_urls`, `relays_urls`, `activation_urls`,
`yggdrasil.peers`, `rollout_upgrade.test_farms`); other members are passed over.  Beside it, with `.sig` at the end of
the address, lies the detached Ed25519 signature of a release key over its bytes.  The copy of last time is used when it
cannot be fetched, so that a node comes up without it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FOLDER = Path("/var/cache/zos/remote")
CONTENT, SIGNATURE = "config.json", "config.json.sig"
MOST_BYTES = 256 << 10
MOST_VALUES = 32
MOST_LENGTH = 200
MOST_FARMS = 1000
FETCH_LIMIT_S = 10.0
FRESH_S = 6 * 3600.0
"""A copy younger than this is not fetched again."""

Fetch = Callable[[str], bytes]


class RemoteConfigError(ValueError):
    """No usable remote configuration; the message says why."""


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """Lists of service addresses, each empty when the document does not name it."""

    substrate: tuple[str, ...] = ()
    relay: tuple[str, ...] = ()
    activation: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    test_farms: tuple[int, ...] = ()
    """Farms that take a release before it is marked safe."""

    def words(self) -> str:
        """The same, as words for the settings' own reader, which checks the addresses."""
        lists = {
            "substrate": self.substrate,
            "relay": self.relay,
            "activation": self.activation,
            "node.peer": self.peers,
            "node.test-farm": tuple(map(str, self.test_farms)),
        }
        return " ".join(f"{key}={value}" for key, values in lists.items() for value in values)


def parse(content: bytes) -> RemoteConfig:
    """Read the document.  Raises RemoteConfigError."""
    try:
        table = json.loads(content)
    except (ValueError, RecursionError):
        raise RemoteConfigError("the remote configuration is no JSON") from None
    if not isinstance(table, dict):
        raise RemoteConfigError("the remote configuration is no JSON object")
    farms = _member(table, "rollout_upgrade", "test_farms")
    if not isinstance(farms, list) or len(farms) > MOST_FARMS:
        raise RemoteConfigError(
            f"test_farms of the remote configuration is no list of up to {MOST_FARMS} farms"
        )
    if not all(isinstance(farm, int) and 0 < farm < 1 << 32 for farm in farms):
        raise RemoteConfigError("test_farms of the remote configuration holds something that is no farm")
    return RemoteConfig(
        _addresses(table.get("substrate_urls", []), "substrate_urls"),
        _addresses(table.get("relays_urls", []), "relays_urls"),
        _addresses(table.get("activation_urls", []), "activation_urls"),
        _addresses(_member(table, "yggdrasil", "peers"), "yggdrasil.peers"),
        tuple(farms),
    )


def _member(table: dict[str, Any], name: str, member: str) -> Any:
    inner = table.get(name, {})
    return inner.get(member, []) if isinstance(inner, dict) else []


def _addresses(value: Any, name: str) -> tuple[str, ...]:
    good = isinstance(value, list) and len(value) <= MOST_VALUES
    if not good or not all(isinstance(each, str) and _is_word(each) for each in value):
        raise RemoteConfigError(
            f"{name} of the remote configuration is no list of up to {MOST_VALUES} addresses"
        )
    return tuple(value)


def _is_word(text: str) -> bool:
    """Whether it stays one word when it is written among others."""
    return (
        0 < len(text) <= MOST_LENGTH
        and text.isascii()
        and text.isprintable()
        and not set(text) & set(" \"'\\")
    )


def check(content: bytes, signature: bytes, keys: Sequence[bytes]) -> None:
    """Raises RemoteConfigError unless one of `keys` (32 bytes each) signed the document."""
    for key in keys:
        with contextlib.suppress(InvalidSignature, ValueError):
            Ed25519PublicKey.from_public_bytes(key).verify(signature, content)
            return
    raise RemoteConfigError("the remote configuration is not signed by a release key that is known here")


def current(
    url: str, keys: Sequence[bytes], fetch: Fetch, folder: Path = FOLDER, now: Callable[[], float] = time.time
) -> tuple[RemoteConfig | None, str]:
    """(configuration, what is wrong).  A fresh copy, a fetched one, an old copy or None, in this order."""
    kept, age = _kept(keys, folder, now())
    if kept is not None and 0 <= age < FRESH_S:
        return kept, ""
    try:
        content, signature = fetch(url), fetch(f"{url}.sig")
        check(content, signature, keys)
        found = parse(content)
    except (RemoteConfigError, OSError) as problem:
        what = "the copy of last time is used" if kept is not None else "the built-in addresses are used"
        return kept, f"remote configuration: {problem}: {what}"
    with contextlib.suppress(OSError):
        _keep(folder, content, signature)
    return found, ""


def _kept(keys: Sequence[bytes], folder: Path, now: float) -> tuple[RemoteConfig | None, float]:
    try:
        content = (folder / CONTENT).read_bytes()[:MOST_BYTES]
        check(content, (folder / SIGNATURE).read_bytes()[:64], keys)
        return parse(content), now - (folder / CONTENT).stat().st_mtime
    except (OSError, RemoteConfigError):
        return None, 0.0


def _keep(folder: Path, content: bytes, signature: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, data in ((SIGNATURE, signature), (CONTENT, content)):
        fresh = folder / f".{name}.{os.getpid()}"
        fresh.write_bytes(data)
        fresh.replace(folder / name)


def download(url: str) -> bytes:
    """A small file over HTTP.  Raises RemoteConfigError, OSError."""
    try:
        with urllib.request.urlopen(url, timeout=FETCH_LIMIT_S) as answer:
            content: bytes = answer.read(MOST_BYTES + 1)
    except urllib.error.URLError as problem:
        raise RemoteConfigError(f"{url} cannot be fetched: {problem.reason}") from None
    if len(content) > MOST_BYTES:
        raise RemoteConfigError(f"{url} is longer than {MOST_BYTES} bytes")
    return content
