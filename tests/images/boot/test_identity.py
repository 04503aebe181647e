"""Which identity a node takes."""

from __future__ import annotations

import json

import pytest

from images.boot.identity import Choice, Verdict, choose
from images.boot.seed import SeedError, decode, encode, tag
from tests.shared import cases, report_count

A, B = b"a" * 32, b"b" * 32


def no_words(words: str) -> bytes:
    if words != "good words":
        raise ValueError
    return A


def decide(*places: bytes | None) -> Choice:
    return choose({f"pool {number}": content for number, content in enumerate(places)}, no_words)


def test_the_recorded_cases_end_as_a_careful_farmer_wants() -> None:
    case = cases("B092")
    contents = {"A": encode(A), "B": encode(B), "garbage": b"\xffgarbage", "": b"", None: None}
    expected = {
        "A": Verdict.USE,
        "stops registering": Verdict.CONFLICT,
        "stops with an error": Verdict.DAMAGED,
        "new identity": Verdict.NEW,
    }
    pools = case["input"]["pools"]
    for name, texts in pools.items():
        found = decide(*(contents[text] for text in texts))
        wanted = case["expected"][name]
        assert found.verdict is next(v for text, v in expected.items() if wanted.startswith(text)), name
        if found.verdict is Verdict.USE:
            assert found.seed == A
        assert bool(found.set_aside) == ("renamed aside" in wanted), name
        if "copy restored" in wanted:
            assert found.restore == ("pool 0",)
        if found.verdict is Verdict.CONFLICT:
            assert tag(A) in found.message
            assert tag(B) in found.message
            assert "pool 2" in found.message
        if found.verdict is Verdict.NEW:
            assert found.restore == ("pool 0", "pool 1")
    report_count("B092", len(pools))


def test_without_a_disk_there_is_no_identity() -> None:
    assert choose({}, no_words).verdict is Verdict.NO_DISK


def test_a_damaged_pool_that_may_hold_the_identity_stops_a_new_one() -> None:
    found = choose({"pool": None}, no_words, expected=["/dev/sdb"])
    assert found.verdict is Verdict.DAMAGED
    assert "/dev/sdb" in found.message


def test_both_old_formats_are_read() -> None:
    assert decode(b'"1.0.0"' + A, no_words) == A
    assert decode(b'"1.1.0"' + json.dumps({"mnemonic": "good words"}).encode(), no_words) == A
    assert decode(A, no_words) == A
    assert encode(A) == b'"1.0.0"' + A


@pytest.mark.parametrize(
    "content",
    [
        b'"1.0.0"' + b"a" * 31,
        b'"1.1.0"{}',
        b'"1.1.0"[]',
        b'"1.1.0"{"mnemonic": "wrong"}',
        b'"2.0.0"' + A,
        b"x" * 5000,
        b"secret",
    ],
)
def test_what_is_no_seed_is_refused_without_showing_it(content: bytes) -> None:
    with pytest.raises(SeedError) as caught:
        decode(content, no_words)
    assert "secret" not in str(caught.value)
    assert "aaaa" not in str(caught.value)
