"""Words, texts and names of the model's classes, as they were recorded."""

from __future__ import annotations

from typing import Any

import pytest
from dynamo.core.master.applications import AuthLevel, Status
from dynamo.core.master.servers import ServerStatus
from dynamo.dataformat import Block, Configuration, Dataset, Group, ObjectError, Site
from dynamo.dataformat.dataset import DATA_TYPE
from dynamo.dataformat.dataset import STATUS as DATASET_STATUS
from dynamo.dataformat.group import OLEVEL
from dynamo.dataformat.literal import make_object
from dynamo.dataformat.site import STATUS as SITE_STATUS
from dynamo.dataformat.site import STORAGE_TYPE
from dynamo.dataformat.wire import decode

from tests.shared import report_count, vectors

CLASSES = {"Dataset": Dataset, "Site": Site, "Group": Group}


def test_words_have_the_recorded_numbers() -> None:
    recorded = vectors("inventory")["enumerations"]
    ours = {
        "Dataset.status": DATASET_STATUS,
        "Dataset.data_type": DATA_TYPE,
        "Group.olevel": OLEVEL,
        "Site.status": SITE_STATUS,
        "Site.storage_type": STORAGE_TYPE,
    }
    for name, enumeration in ours.items():
        assert list(enumeration.names) == recorded[name]
        owner, attribute = name.split(".")
        prefix = {"status": "STAT", "data_type": "TYPE", "storage_type": "TYPE", "olevel": "OL"}[attribute]
        for number, word in enumerate(recorded[name], 1):
            assert getattr(CLASSES[owner], f"{prefix}_{word.upper()}") == number
    report_count("enumerations", len(ours))


def test_levels_and_statuses_of_applications_have_the_recorded_numbers() -> None:
    recorded = vectors("inventory")["enumerations"]
    # The level that reads has two names: that of the client's option and that of the queue.
    assert ["read" if level is AuthLevel.NOAUTH else level for level in AuthLevel] == recorded[
        "application.auth_level"
    ]
    assert [str(status) for status in Status] == recorded["application.status"]


def test_w12_error_is_a_status_of_servers_beside_the_recorded_ones() -> None:
    recorded = vectors("inventory")["enumerations"]
    assert "error" not in recorded["server.status_names"]
    assert {*recorded["server.status_names"], "error"} <= {str(status) for status in ServerStatus}


def test_converters_pass_on_what_they_do_not_know() -> None:
    conversions = vectors("inventory")["conversions"]
    for function, argument, result in conversions:
        owner, name = function.split(".")
        assert getattr(CLASSES[owner], name)(argument) == result, (function, argument)
    report_count("conversions", len(conversions))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Dataset("d", status="nonsense"), "dataset status"),
        (lambda: Dataset("d", status=8), "dataset status"),
        (lambda: Dataset("d", data_type="nonsense"), "data type"),
        (lambda: Group("g", "nonsense"), "ownership level"),
        (lambda: Site("s", status="nonsense"), "site status"),
        (lambda: Site("s", storage_type="nonsense"), "storage type"),
    ],
)
def test_w2_unknown_words_are_refused(make: Any, word: str) -> None:
    with pytest.raises(ObjectError, match=f"Unknown {word}"):
        make()


def _object(described: dict[str, Any]) -> Any:
    ids = {key: described[key] for key in ("did", "bid", "gid", "sid", "pid", "fid") if key in described}
    obj = decode({key: value for key, value in described.items() if key not in ids})
    for number in ids.values():
        obj.id = number  # type: ignore[union-attr]  # classes with a number have one
    return obj


def test_texts_of_objects_match_and_are_read_back() -> None:
    recorded = vectors("inventory")["repr"]
    for case in recorded:
        obj = _object(case["object"])
        if not case["repr"].startswith("!"):
            assert repr(obj) == case["repr"]
        assert repr(make_object(repr(obj))) == repr(obj)
    report_count("texts of objects", len(recorded))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "Group(__import__('os').getpid())",
        "Group(*['g'])",
        "Group('g').name",
        "[Group('g')]",
        "Group('g', nonsense=1)",
        "Group('g') or Group('h')",
        "Os('g')",
        "Group(" + "(" * 5000 + ")" * 5000 + ")",
        "Dataset('a' * 10**9)",
        "Dataset(5)",
        "BlockReplica('/A','S','g')",
        "",
        "Group('g'",
    ],
)
def test_w5_only_one_call_of_a_class_with_literals_is_read(text: str) -> None:
    with pytest.raises(ObjectError):
        make_object(text)


def test_names_survive_whatever_letters_they_have() -> None:
    for name in ("it's", 'a"b', "line\nbreak", "ünïcödé", "日本", "\\n", "tab\t", "\U0001f600"):
        assert make_object(repr(Dataset(name))).name == name  # type: ignore[union-attr]


def test_full_names_split_at_the_first_mark() -> None:
    recorded = vectors("inventory")["block_full_name"]
    for text, wanted in recorded:
        if wanted == "!ObjectError":
            with pytest.raises(ObjectError):
                Block.from_full_name(text)
        else:
            assert list(Block.from_full_name(text)) == wanted
    report_count("full names", len(recorded))


def test_file_names_are_mapped_by_the_first_chain_that_works() -> None:
    recorded = vectors("inventory")["filename_mapping"]
    site = Site("S", filename_mapping={"p": recorded["chains"]})
    for lfn, pfn in recorded["cases"]:
        assert site.to_pfn(lfn, "p") == pfn
    assert site.to_pfn("/store/a", "unknown") is None
    report_count("file names", len(recorded["cases"]))


@pytest.mark.parametrize("chains", [[[["(", "x"]]], [[["a", "{0}"]]], [[["a"]]]])
def test_a_mapping_that_cannot_work_is_refused(chains: Any) -> None:
    with pytest.raises(ObjectError, match="Filename mapping"):
        Site("S", filename_mapping={"p": chains})


def test_configurations_are_attributes_with_variables_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = vectors("inventory")["configuration"]
    monkeypatch.setenv("FOO", "bar")
    case = recorded[0]
    config = Configuration(case["in"])
    assert config == case["out"]
    assert config.a.b == case["attr"]["a.b"]
    assert config.l[0].q == case["attr"]["l.0.q"]
    assert config.get("missing", 5) == case["get_default"]
    with pytest.raises(KeyError):
        _ = config.missing
    clone = config.clone()
    clone.a.b = 2
    assert config.a.b == 1
    assert recorded[1] == {"missing_attribute_raises": "KeyError"}
    report_count("configurations", len(recorded))
