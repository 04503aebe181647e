"""The set-up looks first, says what is missing, and never enables or starts a service."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from devgrid import bootstrap


def test_installed_and_missing_packages_are_told_apart() -> None:
    assert bootstrap.missing_packages(["dpkg", "no-such-package-anywhere"]) == ["no-such-package-anywhere"]


def test_without_root_a_missing_package_is_an_error_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(bootstrap.SetupError, match="run as root, or install redis-server"):
        bootstrap.install_packages(["redis-server"])


def test_a_failing_command_shows_the_end_of_its_output_and_the_remedy() -> None:
    with pytest.raises(bootstrap.SetupError, match=r"(?s)status 3.*the cause.*do this"):
        bootstrap.run(["sh", "-c", "echo the cause; exit 3"], timeout=5, remedy="do this")


def test_a_hanging_command_is_given_up() -> None:
    with pytest.raises(bootstrap.SetupError, match="more than 0 s"):
        bootstrap.run(["sleep", "5"], timeout=0.2, remedy="")


@pytest.mark.root
def test_no_service_is_enabled_or_started_and_policy_rc_d_stays_as_it_was(tmp_path: Path) -> None:
    """A package whose scripts use every way to enable and start a service is installed like the real ones.

    dpkg works on a root of its own here, so that the machine's package database stays untouched; the maintainer
    script and the silenced tools are the real thing.
    """
    calls = tmp_path / "calls"
    tools = []
    for name in (
        "deb-systemd-helper",
        "deb-systemd-invoke",
        "invoke-rc.d",
        "update-rc.d",
        "systemctl",
        "service",
    ):
        tool = tmp_path / name
        tool.write_text(f"#!/bin/sh\necho {name} $* >> {calls}\n")
        tool.chmod(0o755)
        tools.append(str(tool))
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    script = bootstrap.apt_script([], tools).split("export DEBIAN_FRONTEND")[0]
    attempts = "\n".join(f"{tool} enable redis-server" for tool in tools)
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script + attempts],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not calls.exists(), "a tool that enables services was really called"
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    subprocess.run([tools[0], "enable", "x"], check=True, timeout=5)
    assert calls.exists(), "outside the set-up the tools are what they were"


@pytest.mark.root
def test_the_machine_has_no_service_of_ours_enabled() -> None:
    enabled = [
        path
        for pattern in ("/etc/systemd/system/*.wants/*", "/etc/rc[2-5].d/S*")
        for path in Path("/").glob(pattern.lstrip("/"))
        if any(name in path.name for name in ("redis", "yggdrasil", "dnsmasq"))
    ]
    stamp = bootstrap.VENV / "made-from"
    if not stamp.exists():
        pytest.skip("the environment was not made by the set-up")
    before = [path for path in enabled if path.lstat().st_mtime < stamp.stat().st_mtime - 3600]
    assert sorted(enabled) == sorted(before), f"enabled by the set-up: {set(enabled) - set(before)}"
