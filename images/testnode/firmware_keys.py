"""UEFI variables for a machine whose firmware starts only what our own certificate signed.

The store is the authenticated variable store of EDK II (`MdeModulePkg/Include/Guid/VariableFormat.h`): behind the
headers of volume and store one record follows the other, 4-aligned: 0x55AA, state, attributes, count, time, key index,
sizes of name and data, vendor, name in UTF-16, data.  Lists of certificates are `EFI_SIGNATURE_LIST` of the UEFI
specification.
"""

from __future__ import annotations

import struct
from pathlib import Path
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

GLOBAL = UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
IMAGE_SECURITY = UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
ENABLE = UUID("f0a30bc7-af08-4556-99c4-001009c93a44")
X509 = UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
OWNER = UUID("6e6f6465-0000-4000-8000-000000000003")
"""Whom the firmware names as owner of our certificate."""
AUTHENTICATED = UUID("aaf32c78-947b-439a-a180-2e144ec37792")
STORE = 0x48
RECORDS = STORE + 28
ADDED = 0x3F
STORED, AT_BOOT, AT_RUN, TIMED = 1, 2, 4, 0x20
ERASED = b"\xff"
WRITTEN_AT = struct.pack("<HBBBBBBIhBB", 2026, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
"""`EFI_TIME`; an update has to be younger."""


class FirmwareKeysError(ValueError):
    """No such store, or no such certificate; the message says which."""


def enrol(template: Path, certificates: Path, target: Path) -> None:
    """Write `target`: the empty store `template` where the certificates of a PEM file are the only signers.

    The first one is also platform key and exchange key.  Raises FirmwareKeysError, OSError.
    """
    try:
        found = x509.load_pem_x509_certificates(certificates.read_bytes())
    except ValueError:
        raise FirmwareKeysError(f"{certificates} holds no PEM certificate") from None
    lists = [signature_list(each.public_bytes(Encoding.DER)) for each in found]
    target.write_bytes(with_records(template.read_bytes(), variables(lists[0], b"".join(lists))))


def variables(owner: bytes, signers: bytes) -> list[bytes]:
    """The records that make a firmware check signatures: lists of whose keys those are, and of who may sign."""
    kept = STORED | AT_BOOT | AT_RUN | TIMED
    return [
        record("db", IMAGE_SECURITY, kept, signers),
        record("KEK", GLOBAL, kept, owner),
        record("PK", GLOBAL, kept, owner),
        record("SecureBootEnable", ENABLE, STORED | AT_BOOT, b"\x01"),
    ]


def signature_list(der: bytes) -> bytes:
    """One certificate as the firmware keeps it."""
    entry = OWNER.bytes_le + der
    return X509.bytes_le + struct.pack("<III", 28 + len(entry), 0, len(entry)) + entry


def record(name: str, vendor: UUID, attributes: int, data: bytes) -> bytes:
    """One variable."""
    label = (name + "\0").encode("utf-16-le")
    time = WRITTEN_AT if attributes & TIMED else bytes(16)
    head = struct.pack("<HBBIQ16sIII", 0x55AA, ADDED, 0, attributes, 0, time, 0, len(label), len(data))
    return head + vendor.bytes_le + label + data


def with_records(store: bytes, records: list[bytes]) -> bytes:
    """An empty store with records.  Raises FirmwareKeysError."""
    if store[STORE : STORE + 16] != AUTHENTICATED.bytes_le or store[RECORDS : RECORDS + 2] != ERASED * 2:
        raise FirmwareKeysError("the template is no empty store of authenticated variables")
    (room,) = struct.unpack_from("<I", store, STORE + 16)
    joined = b"".join(each + ERASED * (-len(each) % 4) for each in records)
    if len(joined) > room - 28:
        raise FirmwareKeysError(f"{len(joined)} bytes of variables do not fit into {room}")
    return store[:RECORDS] + joined + store[RECORDS + len(joined) :]
