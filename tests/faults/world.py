"""What outlives the daemon that is killed: the client's memory of what was acknowledged, and the chain.

One folder for a life: `acks` has a line for each step that was done and told, `chain.json` the contracts.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from gridtypes import ContractId, Deployment, NodeId, TwinId, WorkloadType
from provisioners.protocol import ReservedIp
from tests.zosd.parts import FakeChain
from zosd.accept.contract import ContractState, ContractView


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node = folder / "node"
        self._acks = folder / "acks"
        self._contracts = folder / "chain.json"
        folder.mkdir(parents=True, exist_ok=True)

    # -- what the client knows -------------------------------------------------------------------------------------

    def acknowledged(self) -> list[str]:
        return self._acks.read_text().split("\n")[:-1] if self._acks.exists() else []

    def acknowledge(self, step: str) -> None:
        """One write: a killed process leaves the whole line, or nothing."""
        descriptor = os.open(self._acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, f"{step}\n".encode())
        finally:
            os.close(descriptor)

    # -- the chain -------------------------------------------------------------------------------------------------

    def chain(self) -> FakeChain:
        chain = FakeChain()
        stored = json.loads(self._contracts.read_text()) if self._contracts.exists() else []
        for one in stored:
            view = ContractView(
                id=ContractId(one["id"]),
                twin=TwinId(one["twin"]),
                state=ContractState(one["state"]),
                node=NodeId(one["node"]),
                hash=one["hash"],
                addresses=tuple(
                    ReservedIp(IPv4Interface(address), IPv4Address(gateway))
                    for address, gateway in one["addresses"]
                ),
            )
            chain.contracts[view.id] = view
        return chain

    def sign_up(self, chain: FakeChain, deployment: Deployment) -> None:
        """Make the contract for it, or bring it to its hash."""
        chain.sign_up(deployment)
        view = chain.contracts[deployment.contract_id]
        extra = sum(one.type is WorkloadType.IPV4 for one in deployment.workloads)
        more = [
            ReservedIp(IPv4Interface(f"185.206.122.{200 + n}/24"), IPv4Address("185.206.122.1"))
            for n in range(extra)
        ]
        chain.contracts[view.id] = replace(view, addresses=(*view.addresses, *more))
        self._store(chain)

    def _store(self, chain: FakeChain) -> None:
        stored = [
            {
                "id": view.id,
                "twin": view.twin,
                "state": view.state.value,
                "node": view.node,
                "hash": view.hash,
                "addresses": [[str(one.address), str(one.gateway)] for one in view.addresses],
            }
            for view in chain.contracts.values()
        ]
        temporary = self._contracts.with_suffix(".new")
        with temporary.open("w") as file:
            file.write(json.dumps(stored))
            file.flush()
            # The chain does not lose what it said because a node loses its power.
            os.fsync(file.fileno())
        os.rename(temporary, self._contracts)

    # -- what a reboot takes ---------------------------------------------------------------------------------------

    @property
    def volatile(self) -> Path:
        return self.node / "run"
