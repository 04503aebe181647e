"""Who signed an EFI program: the certificates that its signature carries."""

from __future__ import annotations

import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from images.debian import ImageError, run_tool

READ_LIMIT_S = 60
BINARY = (".der", ".cer", ".crt")
"""Ends of names that firmware set-ups expect of a certificate in its binary form."""


def certificates_of(program: Path) -> list[x509.Certificate]:
    """The certificates in the first signature (Authenticode, PKCS #7) of an EFI program; a kernel is one.

    Raises ImageError when there is none.
    """
    with tempfile.TemporaryDirectory(prefix="signer-") as folder:
        signature = Path(folder) / "signature.der"
        try:
            run_tool(["sbattach", "--detach", str(signature), str(program)], READ_LIMIT_S)
            return pkcs7.load_der_pkcs7_certificates(signature.read_bytes())
        except (ImageError, OSError, ValueError) as problem:
            raise ImageError(f"{program} has no signature that can be read: {problem}") from problem


def write(certificates: list[x509.Certificate], target: Path) -> None:
    """Write certificates for a firmware: PEM, one behind the other, or the binary form of one (`.der`, `.cer`, `.crt`).

    Raises ImageError when a binary file would have to hold more than one, OSError.
    """
    if target.suffix.lower() not in BINARY:
        target.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in certificates))
    elif len(certificates) == 1:
        target.write_bytes(certificates[0].public_bytes(Encoding.DER))
    else:
        raise ImageError(f"{len(certificates)} certificates do not fit into {target}; give it the end .pem")
