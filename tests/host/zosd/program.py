"""The daemon with a chain in a file, so that a real node can be tested without one.

    python -m tests.host.zosd.program CONFIG CHAIN.json

The file is `{"away": bool, "keys": {twin: hex}, "contracts": {id: {twin, node, hash, addresses: [[cidr, gateway]]}}}`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

from gridtypes import ContractId, NodeId, TwinId
from provisioners.protocol import ReservedIp
from tfchain.errors import ChainUnavailable
from zosd import config, logs
from zosd import node as daemon
from zosd.accept.contract import ContractState, ContractView
from zosd.chainlife.link import ChainLink


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

    async def height(self) -> int:
        return 1

    async def reserved(self, id: ContractId) -> Sequence[ReservedIp] | None:
        found = await self.contract(id)
        return found.addresses if found else None

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._file.read_text())
        if content["away"]:
            raise ChainUnavailable("connection refused")
        return content


async def main(settings: config.Config, chain: FileChain) -> None:
    async def open_link(*_: object) -> ChainLink:
        return ChainLink(None, chain, chain.reserved)

    daemon.open_link = open_link
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await daemon.Node(settings).run(stop)


if __name__ == "__main__":
    loaded = config.load(Path(sys.argv[1]))
    logs.set_up(loaded.log)
    asyncio.run(main(loaded, FileChain(Path(sys.argv[2]))))
