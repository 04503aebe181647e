"""Words of a kernel command line, and of every other text that configures a boot.  Pure.

Rules as nodes of the grid have them: words are split as a shell splits them, quotes group; each word is `key` or
`key=value`, split at the first `=`.  Values of a repeated key gather in order; a bare key says "present, without
value" and forgets the values before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MOST_TEXT = 4096
"""Characters that are looked at; the kernel's own limit on x86 is 2048."""

Words = Mapping[str, tuple[str, ...]]
"""Values by key; an empty tuple is a key without value."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text says, and what is wrong with it ("" when nothing is)."""

    words: Words
    problem: str = ""


def parse(text: str) -> Parsed:
    """Read a text; never raises.  An open quote ends with the text and is reported."""
    problem = ""
    if len(text) > MOST_TEXT:
        problem = f"text of {len(text)} characters, only the first {MOST_TEXT} are read"
        text = text[:MOST_TEXT]
    pieces, open_quote = split(text)
    if open_quote:
        problem = f"a quote {open_quote} is opened and not closed"
    found: dict[str, tuple[str, ...]] = {}
    for piece in pieces:
        key, separator, value = piece.partition("=")
        if not key:
            continue
        found[key] = (*found.get(key, ()), value) if separator else ()
    return Parsed(found, problem)


def split(text: str) -> tuple[list[str], str]:
    """(words, the quote that was left open or "")."""
    words: list[str] = []
    current, started, quote = "", False, ""
    for character in text:
        if quote:
            if character == quote:
                quote = ""
            else:
                current += character
        elif character in "\"'":
            quote, started = character, True
        elif character.isspace() or character == "\0":
            if started:
                words.append(current)
            current, started = "", False
        else:
            current, started = current + character, True
    if started:
        words.append(current)
    return words, quote
