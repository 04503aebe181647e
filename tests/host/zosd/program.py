"""The daemon with a chain in a file, so that a real node can be tested without one.

    python -m tests.host.zosd.program CONFIG CHAIN.json

The file is `{"away": bool, "keys": {twin: hex}, "contracts": {id: {twin, node, hash, addresses: [[cidr, gateway]]}}}`;
a contract with `"grace": true` is in its grace period.  With `"follow": true` the daemon is told of contracts that went
and of grace periods, as the chain's events would.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any, ClassVar

from gridtypes import ContractId, NodeId, TwinId
from provisioners.protocol import ReservedIp
from tfchain.errors import ChainUnavailable
from zosd import config, logs
from zosd import node as daemon
from zosd.accept.contract import ContractState, ContractView
from zosd.chainlife.link import ChainLink
from zosd.chainlife.orders import Orders


class Told(Orders):
    """Orders that the test's chain can give."""

    all: ClassVar[list[Told]] = []

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.all.append(self)


class FileChain:
    def __init__(self, file: Path) -> None:
        self._file = file

    async def twin_key(self, twin: TwinId) -> bytes | None:
        text = self._content()["keys"].get(str(twin))
        return bytes.fromhex(text) if text else None

    async def contract(self, id: ContractId) -> ContractView | None:
        found = self._content()["contracts"].get(str(id))
        if found is None:
            return None
        return ContractView(
            id=id,
            twin=TwinId(found["twin"]),
            state=ContractState.CREATED,
            node=NodeId(found["node"]),
            hash=found["hash"],
            addresses=tuple(
                ReservedIp(IPv4Interface(address), IPv4Address(gateway))
                for address, gateway in found["addresses"]
            ),
        )

    async def find(self, id: ContractId, patience: float) -> ContractView | None:
        return await self.contract(id)

    async def renter(self, node: NodeId) -> TwinId | None:
        return None

    async def name_owner(self, name: str, patience: float) -> TwinId | None:
        return None

    async def height(self) -> int:
        return 1

    async def reserved(self, id: ContractId) -> Sequence[ReservedIp] | None:
        found = await self.contract(id)
        return found.addresses if found else None

    async def follow(self) -> None:
        """Tell the daemon what its contracts have become, for ever."""
        while True:
            await asyncio.sleep(0.05)
            content = json.loads(self._file.read_text())
            if not content.get("follow") or content["away"]:
                continue
            for orders in Told.all:
                for record in orders._journal.ledger.all():
                    found = content["contracts"].get(str(record.key.contract))
                    if found is None:
                        await orders.leave(record.key, "contract canceled event received")
                    else:
                        await orders.pause(record.key, bool(found.get("grace")))

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._file.read_text())
        if content["away"]:
            raise ChainUnavailable("connection refused")
        return content


async def main(settings: config.Config, chain: FileChain) -> None:
    async def open_link(*_: object) -> ChainLink:
        return ChainLink(None, chain, chain.reserved)

    daemon.open_link = open_link
    daemon.Orders = Told
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    following = asyncio.create_task(chain.follow())
    try:
        await daemon.Node(settings).run(stop)
    finally:
        following.cancel()


if __name__ == "__main__":
    loaded = config.load(Path(sys.argv[1]))
    logs.set_up(loaded.log)
    asyncio.run(main(loaded, FileChain(Path(sys.argv[2]))))
