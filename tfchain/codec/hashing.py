"""The hash functions of storage keys, blocks and extrinsics."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b

import xxhash


def blake2_128(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


def blake2_256(data: bytes) -> bytes:
    """The chain's own hash: block hash of a header, hash of an extrinsic."""
    return blake2b(data, digest_size=32).digest()


def twox_64(data: bytes) -> bytes:
    return xxhash.xxh64(data, seed=0).intdigest().to_bytes(8, "little")


def twox_128(data: bytes) -> bytes:
    return _twox(data, 2)


def twox_256(data: bytes) -> bytes:
    return _twox(data, 4)


def _twox(data: bytes, parts: int) -> bytes:
    return b"".join(xxhash.xxh64(data, seed=s).intdigest().to_bytes(8, "little") for s in range(parts))


STORAGE_HASHERS: dict[str, Callable[[bytes], bytes]] = {
    "Blake2_128": blake2_128,
    "Blake2_256": blake2_256,
    "Blake2_128Concat": lambda data: blake2_128(data) + data,
    "Twox128": twox_128,
    "Twox256": twox_256,
    "Twox64Concat": lambda data: twox_64(data) + data,
    "Identity": bytes,
}
"""What a map's hasher makes of an encoded key; names as in metadata."""


@lru_cache(maxsize=4096)
def storage_prefix(prefix: str, item: str) -> bytes:
    """The 32 bytes with which every key of a storage item begins."""
    return twox_128(prefix.encode()) + twox_128(item.encode())


def storage_key(prefix: str, item: str, hashed: tuple[tuple[str, bytes], ...] = ()) -> bytes:
    """A storage key; `hashed` pairs each hasher's name with the encoded map key that it hashes."""
    return storage_prefix(prefix, item) + b"".join(STORAGE_HASHERS[name](key) for name, key in hashed)
