from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rmb.errors import SettingsError
from rmb.peer.config import PeerConfig
from rmb.settings import load

KEY = {"ZOS_IDENTITY_KEY_FILE": "/k"}


def test_the_key_file_is_all_that_has_to_be_given() -> None:
    config = load(PeerConfig, None, KEY)
    assert config.identity.key_file == Path("/k")
    assert config.redis.url == "unix:///run/zos/redis.sock"
    assert config.listen.port == 8051


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("ZOS_REDIS_URL", "http://x", "expected unix:///path"),
        ("ZOS_TWINS_ADDRESSES", '{ "7" = "a b" }', "expected a host, or host:port"),
        ("ZOS_TWINS_ADDRESSES", '{ "0" = "a" }', "greater than or equal to 1"),
        ("ZOS_TWINS_KEYS", '{ "7" = "00" }', "the key of twin 7 is no 32 bytes in hex"),
        ("ZOS_LISTEN_ADDRESSES", "somewhere:80", "does not appear to be an IPv4 or IPv6 address"),
        ("ZOS_LISTEN_NAMESPACE", "../etc", "String should match pattern"),
        ("ZOS_LIMITS_PENDING", "0", "greater than or equal to 1"),
    ],
)
def test_what_cannot_work_is_refused_before_the_start(variable: str, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(PeerConfig, None, KEY | {variable: text})
    assert message in str(caught.value)
    assert variable in str(caught.value)


def rmb_peer(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rmb.peer_cli", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_command_fails_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[identity]\nkeyfile = '/k'\n")
    done = rmb_peer("--config", str(config))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"rmb-peer: {config}: unknown key keyfile in [identity]; did you mean key_file?\n"


def test_a_file_that_holds_no_key_is_named_and_left_alone(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("not a key\n")
    config = tmp_path / "c.toml"
    config.write_text(f"[identity]\nkey_file = '{key}'\n")
    done = rmb_peer("--config", str(config))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"rmb-peer: {key} holds no key")
    assert key.read_text() == "not a key\n"
    assert "not a key" not in done.stderr


def test_wrong_usage_is_status_two() -> None:
    assert rmb_peer("--nonsense").returncode == 2
