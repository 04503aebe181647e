"""How a deployment names an image."""

from __future__ import annotations

import pytest

from provisioners.images.source import BadSource, parse_sibling, parse_source

HASH = "ab" * 32


def test_an_address_with_its_hash() -> None:
    source = parse_source(f"HTTPS://Hub.Example:8443/a/b.tar.gz?x=1#sha256={HASH.upper()}")
    assert (source.scheme, source.host, source.port) == ("https", "hub.example", 8443)
    assert source.sha256 == HASH
    assert source.url == "https://Hub.Example:8443/a/b.tar.gz?x=1"
    assert source.sibling("md5") == "https://Hub.Example:8443/a/b.tar.gz.md5?x=1"


def test_what_is_shown_has_no_secrets() -> None:
    assert parse_source("https://me:secret@hub.example/i.tar?token=t").shown == "https://hub.example/i.tar"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://hub.example/i.tar",
        "i.tar",
        "/etc/passwd",
        "https://",
        "https:///i.tar",
        "https://hub.example:port/i.tar",
        "https://hub.example/i.tar#sha256=12",
        "https://hub.example/i.tar#md5=12",
        "https://hub.example/i tar",
        "https://hub.example/i\r\nHost: x",
        "file://other/i.tar",
        "https://hub.example/" + "a" * 3000,
    ],
)
def test_addresses_that_cannot_be_used(url: str) -> None:
    with pytest.raises(BadSource):
        parse_source(url)


def test_hash_files() -> None:
    assert parse_sibling(f"{HASH}  image.tar\n", "sha256") == HASH
    assert parse_sibling(f"{HASH.upper()}", "sha256") == HASH
    assert parse_sibling("d41d8cd98f00b204e9800998ecf8427e\n", "md5") == "d41d8cd98f00b204e9800998ecf8427e"
    assert parse_sibling("<html>all is well</html>", "md5") is None
    assert parse_sibling(HASH, "md5") is None
    assert parse_sibling("", "sha256") is None
