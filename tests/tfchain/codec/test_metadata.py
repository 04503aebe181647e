"""Our declarations against the metadata of the real runtime: the same by meaning."""

from __future__ import annotations

import pytest

from tests.shared import report_count, vector_file
from tfchain.codec import metadata as v14
from tfchain.codec.scale import ScaleError
from tfchain.codec.types import Array, Compact, Composite, Field, Sequence, Tuple, Variant
from tfchain.devchain.interface import interface


@pytest.fixture
def oracle() -> v14.Metadata:
    text = vector_file("tfchain-metadata-149.scale.hex").read_text().strip()
    return v14.parse(bytes.fromhex(text[2:]))


def test_metadata_survives_writing_and_reading(oracle: v14.Metadata) -> None:
    assert v14.parse(v14.encode(oracle)) == oracle


def test_bytes_that_are_no_metadata_are_refused(oracle: v14.Metadata) -> None:
    encoded = v14.encode(oracle)
    for broken in (b"", b"meta\x0d", encoded[:-1], encoded + b"\0"):
        with pytest.raises(ScaleError):
            v14.parse(broken)


def test_our_declarations_mean_what_the_real_metadata_means(oracle: v14.Metadata) -> None:
    ours = interface().metadata
    same = _Comparison(ours, oracle)
    for mine, theirs in zip(ours.pallets, oracle.pallets, strict=True):
        assert (mine.name, mine.index, mine.prefix) == (theirs.name, theirs.index, theirs.prefix)
        for group in ("calls", "events", "errors"):
            same.optional(getattr(mine, group), getattr(theirs, group), f"{mine.name} {group}")
        for entry, other in zip(mine.storage, theirs.storage, strict=True):
            assert (entry.name, entry.optional, entry.hashers, entry.default) == (
                other.name,
                other.optional,
                other.hashers,
                other.default,
            )
            same.types(entry.value, other.value, f"{mine.name}.{entry.name}")
            same.optional(entry.key, other.key, f"{mine.name}.{entry.name} key")
        for constant, wanted in zip(mine.constants, theirs.constants, strict=True):
            assert (constant.name, constant.value) == (wanted.name, wanted.value)
            same.types(constant.type, wanted.type, constant.name)
    for extension, wanted_extension in zip(ours.extensions, oracle.extensions, strict=True):
        assert extension.identifier == wanted_extension.identifier
        same.types(extension.extra, wanted_extension.extra, extension.identifier)
        same.types(extension.additional_signed, wanted_extension.additional_signed, extension.identifier)
    assert ours.extrinsic_version == oracle.extrinsic_version
    same.types(ours.extrinsic, oracle.extrinsic, "extrinsic")
    same.types(ours.runtime, oracle.runtime, "runtime")
    report_count("tfchain metadata types", len(same.seen))


class _Comparison:
    def __init__(self, ours: v14.Metadata, theirs: v14.Metadata) -> None:
        self.ours = ours.registry
        self.theirs = theirs.registry
        self.seen: set[tuple[int, int]] = set()

    def optional(self, mine: int | None, other: int | None, where: str) -> None:
        assert (mine is None) == (other is None), where
        if mine is not None and other is not None:
            self.types(mine, other, where)

    def types(self, mine: int, other: int, where: str) -> None:
        if (mine, other) in self.seen:
            return
        self.seen.add((mine, other))
        ours, theirs = self.ours[mine], self.theirs[other]
        assert ours.path == theirs.path, where
        assert [p.name for p in ours.parameters] == [p.name for p in theirs.parameters], where
        for parameter, wanted in zip(ours.parameters, theirs.parameters, strict=True):
            self.optional(parameter.type, wanted.type, f"{where} <{parameter.name}>")
        match ours.definition, theirs.definition:
            case Composite(fields), Composite(others):
                self.fields(fields, others, where)
            case Variant(cases), Variant(wanted_cases):
                assert [(c.name, c.index) for c in cases] == [(c.name, c.index) for c in wanted_cases], where
                for case, wanted_case in zip(cases, wanted_cases, strict=True):
                    self.fields(case.fields, wanted_case.fields, f"{where}.{case.name}")
            case (Sequence(item), Sequence(wanted_item)) | (Compact(item), Compact(wanted_item)):
                self.types(item, wanted_item, where)
            case Array(length, item), Array(wanted_length, wanted_item):
                assert length == wanted_length, where
                self.types(item, wanted_item, where)
            case Tuple(items), Tuple(wanted_items):
                for one, wanted_one in zip(items, wanted_items, strict=True):
                    self.types(one, wanted_one, where)
            case mine_definition, wanted_definition:
                assert mine_definition == wanted_definition, where

    def fields(self, mine: tuple[Field, ...], other: tuple[Field, ...], where: str) -> None:
        assert [(f.name, f.type_name) for f in mine] == [(f.name, f.type_name) for f in other], where
        for field, wanted in zip(mine, other, strict=True):
            self.types(field.type, wanted.type, f"{where}.{field.name}")
