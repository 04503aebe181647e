"""The consciences of a namespace as their clients see them: whichever answers will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from oio.naming import is_address
from oio.service import status
from oio.service.rpc import RpcClient
from oio.service.status import ServiceError

TRY: Final = 3.0
"""Seconds that one of several has to answer before the next one is asked."""


class Ensemble:
    """Consciences at these addresses. What they are asked may be repeated, so the next one is tried after any error of
    the network; the one that answered last is asked first."""

    def __init__(self, addresses: Sequence[str], rpc: RpcClient) -> None:
        self.addresses = list(addresses)
        self._rpc = rpc
        if not self.addresses or not all(map(is_address, self.addresses)):
            raise ValueError(f"conscience {','.join(addresses)!r}: a comma list of addresses is expected")

    async def call(self, verb: str, args: Mapping[str, Any], timeout: float = 10.0) -> Any:
        """A verb's result from one of them; ServiceError, of the last one when none could be reached."""
        limit = timeout if len(self.addresses) == 1 else min(timeout, TRY)
        last = ServiceError(status.UNAVAILABLE, "no conscience")
        for address in list(self.addresses):
            try:
                answer = await self._rpc.call(address, verb, args, limit)
            except ServiceError as error:
                if error.status not in status.NETWORK_STATUSES:
                    raise
                last = error
                continue
            if self.addresses[0] != address:
                self.addresses.remove(address)
                self.addresses.insert(0, address)
            return answer
        raise last
