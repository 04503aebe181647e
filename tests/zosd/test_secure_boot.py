"""Whether the machine was started by a firmware that checks signatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from zosd.real_machine import is_secure_boot


@pytest.mark.parametrize(
    ("content", "verdict"),
    [(b"\x06\0\0\0\x01", True), (b"\x06\0\0\0\0", False), (b"", False), (b"\x06\0\0\0", False)],
)
def test_the_firmware_s_variable_tells(tmp_path: Path, content: bytes, verdict: bool) -> None:
    file = tmp_path / "SecureBoot"
    file.write_bytes(content)
    assert is_secure_boot(file) is verdict


def test_a_machine_without_uefi_has_no_secure_boot(tmp_path: Path) -> None:
    assert not is_secure_boot(tmp_path / "SecureBoot")
