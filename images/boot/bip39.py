"""BIP-39 words back to their entropy, which is the seed in the second format of seed files.

Source: BIP-39; `bip39_english.txt` is its English word list.
"""

from __future__ import annotations

import hashlib
from importlib import resources

WORD_BITS = 11


def words() -> list[str]:
    """The 2048 English words in their order."""
    return resources.files("images.boot").joinpath("bip39_english.txt").read_text().split()


def entropy(phrase: str) -> bytes:
    """16 to 32 bytes.  Raises ValueError, whose message does not show the phrase."""
    numbers = {word: number for number, word in enumerate(words())}
    given = phrase.split()
    if len(given) not in (12, 15, 18, 21, 24) or not all(word in numbers for word in given):
        raise ValueError("not 12 to 24 words of the English list")
    value = 0
    for word in given:
        value = value << WORD_BITS | numbers[word]
    check_bits = len(given) * WORD_BITS // 33
    content = (value >> check_bits).to_bytes(check_bits * 4)
    check = hashlib.sha256(content).digest()[0] >> (8 - check_bits)
    if check != value & ((1 << check_bits) - 1):
        raise ValueError("the words' checksum is wrong")
    return content
