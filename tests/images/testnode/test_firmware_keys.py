"""The store of UEFI variables with keys of our own."""

from __future__ import annotations

import struct
from pathlib import Path
from uuid import UUID

import pytest

from images.testnode.arguments import OVMF_VARS
from images.testnode.firmware_keys import (
    RECORDS,
    STORE,
    X509,
    FirmwareKeysError,
    enrol,
    record,
    signature_list,
    variables,
    with_records,
)
from tests.images.certificate import make


def read(store: bytes) -> dict[str, tuple[UUID, int, bytes]]:
    """The variables of a store, as the firmware walks through it."""
    found, at = {}, RECORDS
    while store[at : at + 2] == b"\xaa\x55":
        attributes, name_size, data_size = (
            struct.unpack_from("<I", store, at + 4)[0],
            *struct.unpack_from("<II", store, at + 36),
        )
        name = store[at + 60 : at + 60 + name_size].decode("utf-16-le").rstrip("\0")
        data = store[at + 60 + name_size : at + 60 + name_size + data_size]
        found[name] = (UUID(bytes_le=store[at + 44 : at + 60]), attributes, data)
        at += (60 + name_size + data_size + 3) & ~3
    return found


def test_our_certificate_is_every_key(tmp_path: Path) -> None:
    if not OVMF_VARS.exists():
        pytest.skip(f"{OVMF_VARS} is missing: install ovmf")
    _, certificate, der = make(tmp_path)
    enrol(OVMF_VARS, certificate, tmp_path / "vars.fd")
    store = (tmp_path / "vars.fd").read_bytes()
    assert len(store) == OVMF_VARS.stat().st_size
    found = read(store)
    for name in ("db", "KEK", "PK"):
        _, attributes, data = found[name]
        assert attributes == 0x27
        assert data[:16] == X509.bytes_le
        assert struct.unpack_from("<III", data, 16) == (len(data), 0, len(data) - 28)
        assert data[44:] == der
    assert found["SecureBootEnable"][2] == b"\x01"


def test_further_certificates_may_sign_and_own_nothing(tmp_path: Path) -> None:
    if not OVMF_VARS.exists():
        pytest.skip(f"{OVMF_VARS} is missing: install ovmf")
    _, certificate, der = make(tmp_path)
    _, other, other_der = make(tmp_path, "other")
    bundle = tmp_path / "both.pem"
    bundle.write_bytes(certificate.read_bytes() + other.read_bytes())
    enrol(OVMF_VARS, bundle, tmp_path / "vars.fd")
    found = read((tmp_path / "vars.fd").read_bytes())
    assert found["db"][2] == signature_list(der) + signature_list(other_der)
    assert found["KEK"][2] == found["PK"][2] == signature_list(der)


def test_what_is_no_empty_store_or_no_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FirmwareKeysError, match="no empty store"):
        with_records(bytes(1024), [])
    (tmp_path / "c.pem").write_text("x")
    with pytest.raises(FirmwareKeysError, match=r"c\.pem"):
        enrol(OVMF_VARS, tmp_path / "c.pem", tmp_path / "vars.fd")


def test_too_much_does_not_fit() -> None:
    head = bytes(STORE) + UUID("aaf32c78-947b-439a-a180-2e144ec37792").bytes_le + struct.pack("<IQ", 256, 0)
    store = head + b"\xff" * 256
    big = record("big", X509, 1, bytes(400))
    with pytest.raises(FirmwareKeysError, match="do not fit"):
        with_records(store, [big])
    assert read(with_records(store, [record("b", X509, 1, b"abc")])) == {"b": (X509, 1, b"abc")}
    assert len(variables(signature_list(b"der"), b"")) == 4
