"""Certificates of the organisation that the recorded runs have."""

from __future__ import annotations

from pathlib import Path

from dynamo.fleet import certificates


class Authority(certificates.Authority):
    """As for a fleet that is tried out; `issue` names another organisation."""

    def issue(self, name: str, address: str | None = None, organization: str = "Acme, Inc.") -> Path:
        return super().issue(name, address, organization)
