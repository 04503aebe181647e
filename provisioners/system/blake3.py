"""BLAKE3 for messages of at most 64 bytes: one chunk, one block.

That is all a mycelium address needs (it hashes a 32-byte key), and no package that the project uses offers BLAKE3.
The numbers are those of the BLAKE3 specification, section 2.
"""

from __future__ import annotations

import struct

_IV = (
    0x6A09E667,
    0xBB67AE85,
    0x3C6EF372,
    0xA54FF53A,
    0x510E527F,
    0x9B05688C,
    0x1F83D9AB,
    0x5BE0CD19,
)
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_COLUMNS_THEN_DIAGONALS = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)
_CHUNK_START, _CHUNK_END, _ROOT = 1, 2, 8
_ROUNDS = 7
_MASK = 0xFFFFFFFF

LIMIT = 64
"""Longest message, in bytes."""


def blake3_small(message: bytes) -> bytes:
    """32-byte digest.  Raises ValueError above 64 bytes."""
    if len(message) > LIMIT:
        raise ValueError(f"{len(message)} bytes are more than one BLAKE3 block ({LIMIT})")
    words = list(struct.unpack("<16I", message.ljust(LIMIT, b"\0")))
    state = [*_IV, *_IV[:4], 0, 0, len(message), _CHUNK_START | _CHUNK_END | _ROOT]
    for _ in range(_ROUNDS):
        for step, (a, b, c, d) in enumerate(_COLUMNS_THEN_DIAGONALS):
            _mix(state, a, b, c, d, words[2 * step], words[2 * step + 1])
        words = [words[index] for index in _PERMUTATION]
    return struct.pack("<8I", *(state[index] ^ state[index + 8] for index in range(8)))


def _mix(state: list[int], a: int, b: int, c: int, d: int, first: int, second: int) -> None:
    for word, turn_d, turn_b in ((first, 16, 12), (second, 8, 7)):
        state[a] = state[a] + state[b] + word & _MASK
        state[d] = _turn_right(state[d] ^ state[a], turn_d)
        state[c] = state[c] + state[d] & _MASK
        state[b] = _turn_right(state[b] ^ state[c], turn_b)


def _turn_right(word: int, bits: int) -> int:
    return word >> bits | word << 32 - bits & _MASK
