from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from rmb.errors import SettingsError
from rmb.settings import Section, load, variable


class Wire(Section):
    url: str = "unix:///run/x.sock"
    retries: int = Field(default=3, ge=0, le=10)
    hosts: tuple[str, ...] = ()
    names: dict[int, str] = Field(default_factory=dict)
    secret: Path | None = None


class Program(Section):
    wire: Wire = Wire()
    strict: Wire | None = None


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "program.toml"
    path.write_text(text)
    return path


def test_without_file_and_environment_there_are_the_defaults() -> None:
    assert load(Program, None, {}) == Program()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[wire]\nurl = "a"\nretries = 1\n')
    settings = load(Program, path, {"ZOS_WIRE_RETRIES": "7", "UNRELATED": "x", "ZOS_OTHER_THING": "1"})
    assert settings.wire == Wire(url="a", retries=7)


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("ZOS_WIRE_URL", "5", "url", "5"),
        ("ZOS_WIRE_URL", "redis://h:1", "url", "redis://h:1"),
        ("ZOS_WIRE_HOSTS", "a, b", "hosts", ("a", "b")),
        ("ZOS_WIRE_HOSTS", '["a", "b"]', "hosts", ("a", "b")),
        ("ZOS_WIRE_NAMES", '{ "26" = "10.0.0.1" }', "names", {26: "10.0.0.1"}),
        ("ZOS_WIRE_SECRET", "/a/b", "secret", Path("/a/b")),
    ],
)
def test_variables_are_toml_or_plain_text(name: str, text: str, key: str, value: object) -> None:
    assert getattr(load(Program, None, {name: text}).wire, key) == value


def test_every_key_has_a_variable() -> None:
    assert variable("wire", "url") == "ZOS_WIRE_URL"
    assert load(Program, None, {"ZOS_STRICT_URL": "b"}).strict == Wire(url="b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[wire]\nretrys = 1", "unknown key retrys in [wire]; did you mean retries?"),
        ("[wire]\nxyzzy = 1", "unknown key xyzzy in [wire]; known are hosts, names, retries, secret, url"),
        ("[wires]\nurl = 'a'", "unknown section [wires]; did you mean wire?"),
        ("wire = 5", "wire is a section: write [wire] and its keys below"),
        (
            "[wire]\nretries = 99",
            "wire.retries (or ZOS_WIRE_RETRIES): Input should be less than or equal",
        ),
        ("[wire]\nretries = 'x'", "wire.retries (or ZOS_WIRE_RETRIES): Input should be a valid integer"),
        ("[wire", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(Program, path, {})
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read the configuration .*none\.toml: No such file"):
        load(Program, tmp_path / "none.toml", {})
