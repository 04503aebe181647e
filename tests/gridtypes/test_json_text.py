"""The reader is as strict as Go's decoder and says where the trouble is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtypes import DecodeError
from gridtypes.json_text import MAX_DEPTH, Node, Shape, parse

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def plain(node: Node) -> object:
    if node.items is not None:
        return [plain(item) for item in node.items]
    if node.members is not None:
        return {key: plain(item) for key, item in node.members}
    if node.shape is Shape.NUMBER:
        return int(node.text)
    if node.shape is Shape.BOOL:
        return node.flag
    return node.text if node.shape is Shape.STRING else None


@given(values, st.booleans())
def test_reads_what_python_writes(value: object, ascii_only: bool) -> None:
    node = parse(json.dumps(value, ensure_ascii=ascii_only).encode())
    assert plain(node) == value


@given(st.binary(max_size=200))
def test_garbage_ends_in_a_decode_error_or_a_value(raw: bytes) -> None:
    try:
        parse(raw)
    except DecodeError:
        return
    # whatever we accept, Python's more lenient reader accepts too
    json.loads(raw.decode("utf-8", "replace"))


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "+1",
        ".5",
        "1.",
        "01",
        "'a'",
        "[1,]",
        '{"a":1,}',
        "// c",
        '"\t"',
        '"\\x41"',
    ],
)
def test_refuses_what_only_lenient_readers_take(text: str) -> None:
    with pytest.raises(DecodeError):
        parse(text.encode())


def test_refuses_a_byte_order_mark() -> None:
    with pytest.raises(DecodeError):
        parse(b"\xef\xbb\xbf{}")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'"\xe2\x82"', "\ufffd\ufffd"),
        (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
        (b'"\xf5\x80"', "\ufffd\ufffd"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"\ud83dx"', "\ufffdx"),
        (rb'"\ud83d\u0041"', "\ufffdA"),
        (rb'"\ude00\ud83d"', "\ufffd\ufffd"),
        (rb'"\/\u0000"', "/\0"),
    ],
)
def test_strings_are_repaired_as_go_does(raw: bytes, text: str) -> None:
    assert parse(raw).text == text


def test_nesting_is_limited_and_never_exhausts_the_stack() -> None:
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH).shape is Shape.ARRAY
    with pytest.raises(DecodeError, match="max depth"):
        parse(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


def test_long_numbers_are_only_text() -> None:
    assert len(parse(b"9" * 10_000).text) == 10_000


def test_a_syntax_error_names_path_byte_and_what_is_there() -> None:
    with pytest.raises(DecodeError) as caught:
        parse(b'{"workloads":[{"data":{"size":tru}}]}')
    assert caught.value.path == "workloads[0].data.size"
    assert "byte 30" in str(caught.value)
    assert "tru" in caught.value.value


def test_long_values_are_shortened_in_errors() -> None:
    with pytest.raises(DecodeError) as caught:
        parse(b'{"a": ' + b"x" * 10_000 + b"}")
    assert len(str(caught.value)) < 300
