"""The namespace file: order, folder, the user's own file, what is missing, what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from oio.common import configuration
from oio.common.client import ProxyClient
from oio.common.configuration import load_namespace_conf, read_conf
from oio.common.exceptions import ConfigurationException


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `etc` and `home`, which are looked into instead of the real ones."""
    (tmp_path / "etc" / "sds.conf.d").mkdir(parents=True)
    (tmp_path / "home" / ".oio").mkdir(parents=True)
    monkeypatch.setattr(configuration, "SYSTEM_FILE", tmp_path / "etc" / "sds.conf")
    monkeypatch.setattr(configuration, "SYSTEM_FOLDER", tmp_path / "etc" / "sds.conf.d")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_later_files_say_more(files: Path) -> None:
    (files / "etc" / "sds.conf").write_text("[NS]\nproxy=a:1\nx=1\ny=%(no)s\n")
    (files / "etc" / "sds.conf.d" / "b").write_text("[NS]\nx=3\n")
    (files / "etc" / "sds.conf.d" / "a").write_text("[NS]\nx=2\nz=2\n[OTHER]\nproxy=o:1\n")
    (files / "home" / ".oio" / "sds.conf").write_text("[NS]\nx=4\n")
    found = load_namespace_conf("NS", fresh=True)
    assert dict(found) == {"proxy": "a:1", "x": "3", "y": "%(no)s", "z": "2"}


def test_the_user_s_file_is_the_last_resort(files: Path) -> None:
    (files / "home" / ".oio" / "sds.conf").write_text("[NS]\nproxy=h:1\n")
    assert load_namespace_conf("NS", fresh=True)["proxy"] == "h:1"
    assert ProxyClient({"namespace": "NS"}).proxy_netloc == "h:1"
    (files / "etc" / "sds.conf.d" / "a").write_text("[NS]\nproxy=e:1\n")
    assert load_namespace_conf("NS")["proxy"] == "h:1"
    assert load_namespace_conf("NS", fresh=True)["proxy"] == "e:1"


def test_what_is_missing_is_said_with_the_files(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load_namespace_conf("NS", fresh=True)
    assert caught.value.code == 1
    assert str(files / "home" / ".oio" / "sds.conf") in capsys.readouterr().err
    found = load_namespace_conf("NS", failsafe=True, fresh=True)
    with pytest.raises(ConfigurationException, match=r"'conscience' is not set .*sds\.conf"):
        found["conscience"]
    (files / "etc" / "sds.conf").write_text("no section\n")
    with pytest.raises(ConfigurationException, match="etc"):
        load_namespace_conf("NS", fresh=True)


def test_sections_of_a_daemon_s_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "indexer.conf"
    path.write_text("[meta2-indexer]\nnamespace = NS\nvolume_list = /a, /b\n")
    assert read_conf(path, "meta2-indexer") == {"namespace": "NS", "volume_list": "/a, /b"}
    assert read_conf(path) == {"meta2-indexer": {"namespace": "NS", "volume_list": "/a, /b"}}
    for arguments in ((path, "other"), (tmp_path / "none", "x")):
        with pytest.raises(SystemExit):
            read_conf(*arguments)
    assert "other" in capsys.readouterr().err
