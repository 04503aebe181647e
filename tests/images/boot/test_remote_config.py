"""The signed lists of services: read, checked, kept, and where they stand among the other sources."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from images.boot.remote_config import (
    CONTENT,
    FRESH_S,
    MOST_VALUES,
    RemoteConfig,
    RemoteConfigError,
    check,
    current,
    parse,
)
from images.boot.settings import load_modes, read_settings
from images.boot.sources import Source, merge

KEY = Ed25519PrivateKey.generate()
PUBLIC = [KEY.public_key().public_bytes_raw()]
URL = "https://config.test/dev.json"
DOCUMENT = {
    "substrate_urls": ["wss://a.test/", "wss://b.test/"],
    "relays_urls": ["wss://relay.test"],
    "activation_urls": ["https://activation.test/activation"],
    "yggdrasil": {"peers": ["tls://198.51.100.7:9943"]},
    "rollout_upgrade": {"test_farms": [1, 79]},
    "users": {"authorized": ["somebody"]},
}
FOUND = RemoteConfig(
    ("wss://a.test/", "wss://b.test/"),
    ("wss://relay.test",),
    ("https://activation.test/activation",),
    ("tls://198.51.100.7:9943",),
    (1, 79),
)


class Server:
    """Answers like a web server that can be down."""

    def __init__(self, document: object = DOCUMENT, key: Ed25519PrivateKey = KEY) -> None:
        self.content = json.dumps(document).encode()
        self.signature = key.sign(self.content)
        self.asked: list[str] = []
        self.is_down = False

    def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        if self.is_down:
            raise RemoteConfigError(f"{url} cannot be fetched: down")
        return {URL: self.content, f"{URL}.sig": self.signature}[url]


def test_the_document_is_read_and_unknown_members_are_passed_over() -> None:
    assert parse(json.dumps(DOCUMENT).encode()) == FOUND
    assert parse(b"{}") == RemoteConfig()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"substrate_urls": "wss://a"}',
        b'{"substrate_urls": [1]}',
        b'{"substrate_urls": ["wss://a ssh-user=b"]}',
        b'{"relays_urls": ["wss://\\u00e9"]}',
        b'{"rollout_upgrade": {"test_farms": ["x"]}}',
        b'{"rollout_upgrade": {"test_farms": [0]}}',
        json.dumps({"activation_urls": ["https://a"] * (MOST_VALUES + 1)}).encode(),
    ],
)
def test_what_is_no_such_document_is_refused_whole(content: bytes) -> None:
    with pytest.raises(RemoteConfigError):
        parse(content)


def test_only_a_release_key_counts() -> None:
    content = b"{}"
    check(content, KEY.sign(content), [bytes(32), *PUBLIC])
    for signature in (b"", bytes(64), Ed25519PrivateKey.generate().sign(content)):
        with pytest.raises(RemoteConfigError, match="not signed"):
            check(content, signature, PUBLIC)


def test_a_fresh_copy_is_not_fetched_again_and_an_old_one_is(tmp_path: Path) -> None:
    server = Server()
    assert current(URL, PUBLIC, server, tmp_path) == (FOUND, "")
    assert current(URL, PUBLIC, server, tmp_path) == (FOUND, "")
    assert len(server.asked) == 2
    written = (tmp_path / CONTENT).stat().st_mtime
    server.content = json.dumps({"substrate_urls": ["wss://c.test"]}).encode()
    server.signature = KEY.sign(server.content)
    later = current(URL, PUBLIC, server, tmp_path, lambda: written + FRESH_S + 1)
    assert later == (RemoteConfig(("wss://c.test",)), "")


def test_without_an_answer_the_old_copy_is_used_and_said(tmp_path: Path) -> None:
    server = Server()
    current(URL, PUBLIC, server, tmp_path)
    os.utime(tmp_path / CONTENT, (0, 0))
    server.is_down = True
    found, problem = current(URL, PUBLIC, server, tmp_path)
    assert found == FOUND
    assert "copy of last time" in problem
    assert URL in problem


def test_without_copy_and_answer_the_table_is_used(tmp_path: Path) -> None:
    server = Server()
    server.is_down = True
    found, problem = current(URL, PUBLIC, server, tmp_path)
    assert found is None
    assert "built-in addresses" in problem


def test_a_wrong_signature_keeps_nothing_and_a_spoilt_copy_is_fetched_anew(tmp_path: Path) -> None:
    stranger = Server({"substrate_urls": ["wss://evil.test"]}, Ed25519PrivateKey.generate())
    found, problem = current(URL, PUBLIC, stranger, tmp_path)
    assert found is None
    assert "not signed" in problem
    assert not (tmp_path / CONTENT).exists()
    current(URL, PUBLIC, Server(), tmp_path)
    (tmp_path / CONTENT).write_text('{"substrate_urls": ["wss://evil.test"]}')
    assert current(URL, PUBLIC, Server(), tmp_path) == (FOUND, "")


def test_it_ranks_below_every_other_source_and_above_the_table() -> None:
    modes = load_modes()
    below = {Source.COMMAND_LINE: "runmode=dev", Source.REMOTE: FOUND.words()}
    settings = read_settings(merge(below), modes)
    assert settings.services.substrate == FOUND.substrate
    assert settings.overlay_peers == FOUND.peers
    assert settings.test_farms == (1, 79)
    assert settings.problems == ()
    stick = {**below, Source.COMMAND_LINE: "runmode=dev substrate=wss://mine.test"}
    settings = read_settings(merge(stick), modes)
    assert settings.services.substrate == ("wss://mine.test",)
    assert settings.services.relay == FOUND.relay


def test_it_says_nothing_about_the_node_itself() -> None:
    texts = {Source.COMMAND_LINE: "runmode=dev", Source.REMOTE: "farmer_id=9 node.upgrade=http://x"}
    settings = read_settings(merge(texts), load_modes())
    assert (settings.farm, settings.upgrade) == (0, "")
