"""The address of an image as a deployment writes it: URL, and the hash that may hang on it.  Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

MAX_URL = 2048
_PIN = re.compile(r"sha256=([0-9a-fA-F]{64})")
_SIBLING = re.compile(r"^\s*([0-9a-fA-F]+)(?:\s|$)")
_DIGITS = {"sha256": 64, "md5": 32}


class BadSource(Exception):
    """The URL of an image cannot be used; the message is for whoever wrote it."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where an image comes from."""

    scheme: str
    """`http`, `https` or `file`."""
    url: str
    """Without the fragment."""
    host: str
    port: int
    path: str
    sha256: str | None
    """The content that the URL insists on (`#sha256=...`), lower-case hex."""

    @property
    def shown(self) -> str:
        """The address for messages and logs: no user, no password, no query."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def sibling(self, algorithm: str) -> str:
        """URL of the file next to it that holds its hash."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(path=f"{parts.path}.{algorithm}"))


def parse_source(url: str) -> ImageSource:
    """Raises BadSource."""
    if len(url) > MAX_URL:
        raise BadSource(f"image address of {len(url)} characters: at most {MAX_URL}")
    if any(ord(character) <= 0x20 or ord(character) == 0x7F for character in url):
        raise BadSource(f"image address {url!a} has blanks or control characters in it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadSource(f"image address {url!a}: {error}") from error
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https", "file"):
        raise BadSource(f"image address {url!a}: use https://, http:// or file://")
    pin = _PIN.fullmatch(parts.fragment)
    if parts.fragment and pin is None:
        raise BadSource(f"image address {url!a}: after '#' only sha256=<64 hex digits> is known")
    host = (parts.hostname or "").lower()
    if scheme == "file":
        if host not in ("", "localhost"):
            raise BadSource(f"image address {url!a}: file:// takes no host")
    elif not host:
        raise BadSource(f"image address {url!a} has no host")
    return ImageSource(
        scheme=scheme,
        url=urlunsplit(parts._replace(scheme=scheme, fragment="")),
        host=host,
        port=port or {"http": 80, "https": 443, "file": 0}[scheme],
        path=parts.path,
        sha256=pin[1].lower() if pin else None,
    )


def parse_sibling(text: str, algorithm: str) -> str | None:
    """The hash in a `.sha256` or `.md5` file (`<hex>` or `<hex>  <name>`); None when it is something else."""
    match = _SIBLING.match(text)
    if match is None or len(match[1]) != _DIGITS[algorithm]:
        return None
    return match[1].lower()
