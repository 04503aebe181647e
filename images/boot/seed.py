"""The file that holds a node's secret: read in both old formats, written in the first.  Pure.

Format of zosbase's versioned files: a JSON string with the version, directly followed by the content.  "1.0.0" is
followed by the 32 bytes of an Ed25519 seed, "1.1.0" by a JSON object whose member `mnemonic` holds BIP-39 words,
whose entropy is the seed.  Bare 32 bytes without a version are read, too; they were written before versions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

SIZE = 32
MOST_BYTES = 4096
_FIRST = b'"1.0.0"'
_SECOND = b'"1.1.0"'

Entropy = Callable[[str], bytes]
"""BIP-39 words to their entropy; raises ValueError."""


class SeedError(ValueError):
    """Content that is no seed.  The message never shows it."""


def encode(seed: bytes) -> bytes:
    """A seed file in format 1.0.0."""
    if len(seed) != SIZE:
        raise SeedError(f"a seed has {SIZE} bytes, not {len(seed)}")
    return _FIRST + seed


def decode(content: bytes, entropy: Entropy) -> bytes:
    """The 32 bytes of a seed file.  Raises SeedError."""
    if len(content) > MOST_BYTES:
        raise SeedError(f"longer than {MOST_BYTES} bytes")
    if content.startswith(_FIRST):
        return _exact(content[len(_FIRST) :])
    if content.startswith(_SECOND):
        return _exact(_from_mnemonic(content[len(_SECOND) :], entropy))
    if len(content) == SIZE:
        return content
    raise SeedError(f"{len(content)} bytes without a known version in front")


def tag(seed: bytes) -> str:
    """A short name of an identity for the screen, which tells two apart and gives nothing away."""
    return hashlib.blake2b(seed, digest_size=4, person=b"zos node tag").hexdigest()


def _from_mnemonic(content: bytes, entropy: Entropy) -> bytes:
    try:
        words = json.loads(content)["mnemonic"]
        return entropy(str(words))
    except (ValueError, KeyError, TypeError):
        raise SeedError("version 1.1.0 without readable words") from None


def _exact(seed: bytes) -> bytes:
    if len(seed) != SIZE:
        raise SeedError(f"{len(seed)} bytes of key, {SIZE} are needed")
    return seed
