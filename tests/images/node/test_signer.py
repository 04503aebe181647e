"""Whose certificates a signed program carries."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography import x509

from images.debian import ImageError
from images.node import signed_program, signer
from tests.images.certificate import make

PROGRAM = Path("/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi")
"""An EFI program that nobody signed."""


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    if shutil.which("sbsign") is None or not PROGRAM.exists():
        pytest.skip("sbsign or GRUB is missing: install sbsigntool and grub-efi-amd64-bin")
    key, certificate, _ = make(tmp_path)
    target = tmp_path / "signed.efi"
    signed_program.sign(PROGRAM, key, certificate, target)
    return target


def test_the_certificate_of_a_signature_is_the_signers(signed: Path, tmp_path: Path) -> None:
    (found,) = signer.certificates_of(signed)
    signer.write([found], tmp_path / "read.pem")
    signer.write([found], tmp_path / "read.der")
    assert x509.load_pem_x509_certificates((tmp_path / "read.pem").read_bytes()) == [found]
    assert x509.load_der_x509_certificate((tmp_path / "read.der").read_bytes()) == found
    assert x509.load_pem_x509_certificate((tmp_path / "farm.pem").read_bytes()) == found


def test_a_file_of_several_is_no_binary_one(signed: Path, tmp_path: Path) -> None:
    (found,) = signer.certificates_of(signed)
    with pytest.raises(ImageError, match=r"2 certificates do not fit into .*two\.cer"):
        signer.write([found, found], tmp_path / "two.cer")


def test_without_a_signature_there_is_no_signer(signed: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"grubx64\.efi has no signature that can be read"):
        signer.certificates_of(PROGRAM)
    (tmp_path / "text").write_text("x")
    with pytest.raises(ImageError, match="text"):
        signer.certificates_of(tmp_path / "text")
