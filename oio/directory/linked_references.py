"""Which references a service is linked to, asked of meta1: complete without any reverse index, and slower."""

from __future__ import annotations

from collections.abc import Iterator

from oio.common.exceptions import OioException
from oio.directory.client import DirectoryClient
from oio.directory.prefixes import CID_DIGITS, generate_prefixes

PAGE = 1000


def linked_references(directory: DirectoryClient, service_type: str, host: str, digits: int) -> Iterator[str]:
    """Container ids, base after base of meta1.

    Bases that do not answer are passed over; OioException names them when all others were asked.
    """
    failed = []
    for prefix in generate_prefixes(digits):
        try:
            yield from _of_base(directory, service_type, host, prefix.ljust(CID_DIGITS, "0"))
        except OioException as error:
            failed.append(f"{prefix}: {error}")
    if failed:
        raise OioException(
            f"{len(failed)} meta1 bases did not answer, what they know is missing: {'; '.join(failed[:16])}"
        )


def _of_base(directory: DirectoryClient, service_type: str, host: str, cid: str) -> Iterator[str]:
    marker = None
    while True:
        page = directory.linked(service_type, host, cid=cid, marker=marker, limit=PAGE)
        for reference in page["references"]:
            yield reference["cid"]
        if not page["truncated"]:
            return
        marker = page["references"][-1]["cid"]
