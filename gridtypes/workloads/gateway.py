"""Web gateways: `gateway-name-proxy` and `gateway-fqdn-proxy`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from gridtypes.backend import check_backend
from gridtypes.errors import InvalidDeployment
from gridtypes.kinds import BOOL, OPTIONAL_TEXT, TEXT, ListOf
from gridtypes.record import member, record
from gridtypes.workloads.data import Siblings, WorkloadData

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_FQDN = re.compile(r"([a-zA-Z0-9_-]+\.)+[a-zA-Z0-9_-]{2,}")


@record
class GatewayNameProxy(WorkloadData):
    """Forwards `<name>.<domain of the node>` to backends."""

    GO_TYPE: ClassVar = "GatewayNameProxy"
    HASHED: ClassVar = ("name", "tls_passthrough", "backends", "network")

    tls_passthrough: bool = member(BOOL)
    backends: Sequence[str] = member(ListOf(TEXT))
    network: str | None = member(OPTIONAL_TEXT, omit_empty=True)
    """Name of the private network in which the backends are; None for none."""
    name: str = member(TEXT)

    def check(self, siblings: Siblings) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidDeployment(f"name {self.name} is invalid")
        _check_backends(self.backends, self.tls_passthrough)


@record
class GatewayFQDNProxy(WorkloadData):
    """Forwards a domain of the user to backends."""

    GO_TYPE: ClassVar = "GatewayFQDNProxy"
    HASHED: ClassVar = ("fqdn", "tls_passthrough", "backends", "network")

    tls_passthrough: bool = member(BOOL)
    backends: Sequence[str] = member(ListOf(TEXT))
    network: str | None = member(OPTIONAL_TEXT, omit_empty=True)
    fqdn: str = member(TEXT)

    def check(self, siblings: Siblings) -> None:
        if not _FQDN.fullmatch(self.fqdn):
            raise InvalidDeployment(f"fqdn {self.fqdn} is invalid")
        _check_backends(self.backends, self.tls_passthrough)


def _check_backends(backends: Sequence[str], tls_passthrough: bool) -> None:
    if not backends:
        raise InvalidDeployment("backends list can not be empty")
    for backend in backends:
        try:
            check_backend(backend, tls_passthrough)
        except ValueError as error:
            raise InvalidDeployment(f"failed to validate backend '{backend}': {error}") from None
