"""Where `zos` finds its grid."""

from __future__ import annotations

from pathlib import Path

import pytest

from client import profile
from client.errors import ProfileError

GOOD = """
[chain]
urls = ["ws://10.99.0.254:9944"]
[bus]
redis = "unix:///run/redis.sock"
[user]
key = "/keys/user.key"
twin = 42
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOS_PROFILES", str(tmp_path))
    monkeypatch.delenv("ZOS_PROFILE", raising=False)
    (tmp_path / "dev.toml").write_text(GOOD)
    return tmp_path


def test_dev_is_the_default() -> None:
    found = profile.load()
    assert (found.user.twin, found.user.key_type, found.network.namespace) == (42, "ed25519", "")
    assert found.chain.urls == ("ws://10.99.0.254:9944",)


def test_relays_stand_for_a_local_peer(folder: Path) -> None:
    relays = 'relays = ["wss://r1.example", "wss://r2.example"]'
    (folder / "far.toml").write_text(GOOD.replace('redis = "unix:///run/redis.sock"', relays))
    found = profile.load("far")
    assert (found.bus.redis, found.bus.relays) == ("", ("wss://r1.example", "wss://r2.example"))


def test_another_is_named_by_option_or_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "main.toml").write_text(GOOD.replace("42", "43"))
    assert profile.load("main").user.twin == 43
    monkeypatch.setenv("ZOS_PROFILE", "main")
    assert profile.load().user.twin == 43
    assert profile.load("dev").user.twin == 42


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOS_USER_TWIN", "44")
    monkeypatch.setenv("ZOS_CHAIN_URLS", "ws://a:1, ws://b:2")
    found = profile.load()
    assert (found.user.twin, found.chain.urls) == (44, ("ws://a:1", "ws://b:2"))


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("twin = 42", "twn = 42", ["unknown key twn in [user]", "did you mean twin?"]),
        ("[bus]", "[buss]", ["unknown section [buss]", "did you mean bus?"]),
        ('redis = "unix:///run/redis.sock"', "", ["bus", "either redis", "or relays"]),
        ("[user]", 'relays = ["wss://r.example"]\n[user]', ["bus", "either redis", "or relays"]),
        ("twin = 42", "twin = 0", ["user.twin", "ZOS_USER_TWIN", "not 0"]),
        ("twin = 42", "", ["user.twin", "required"]),
        (
            "twin = 42",
            'twin = 42\nkey_type = "rsa"',
            ["user.key_type", "'ed25519' or 'sr25519'", "not 'rsa'"],
        ),
        ('["ws://10.99.0.254:9944"]', "[]", ["chain.urls"]),
        ("[chain]", "[chain", ["is not TOML"]),
    ],
)
def test_an_error_names_file_key_and_value(folder: Path, old: str, new: str, parts: list[str]) -> None:
    (folder / "dev.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(ProfileError) as caught:
        profile.load()
    for part in (str(folder / "dev.toml"), *parts):
        assert part in str(caught.value)


def test_a_missing_profile_tells_what_there_is(folder: Path) -> None:
    with pytest.raises(ProfileError, match="no profile 'main'; there are dev"):
        profile.load("main")
    (folder / "dev.toml").unlink()
    with pytest.raises(
        ProfileError, match="no profile 'dev'; bring up a development grid with `zos grid up`"
    ):
        profile.load()


def test_without_the_variable_it_looks_at_home_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ZOS_PROFILES")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert profile.folders() == [tmp_path / ".config/zos/profiles", Path("/etc/zos/profiles")]
