"""Deploy a machine with a disk and a public address on one node, step by step, without a deployment file.

    python docs/examples/manual.py 1 http://10.99.0.254:8080/demo.tar.gz --profile dev

Prints the result of each workload.  `zos cancel <contract>` ends what it made; a failure ends it at once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

import rmb
from client import NodeClient, profile
from client.errors import ClientError
from client.namespace import enter
from client.network_plan import free_port
from client.wireguard_key import WireGuardKey
from client.workloads import network, publicip, zmachine, zmount
from gridtypes import (
    GIB,
    MIB,
    ContractId,
    Deployment,
    NodeId,
    ResultState,
    SignatureRequest,
    SignatureRequirement,
    TwinId,
    Workload,
)
from tfchain import Chain, ChainError, ChainUnavailable
from tfchain.keys import Identity

PATIENCE_S = 300.0


async def main(node_id: int, image: str, user: profile.Profile) -> Deployment:
    """Deploy on node `node_id`; returns the deployment as the node shows it when everything runs.

    Raises ClientError when a workload fails, and what chain and bus raise; the contract is cancelled then.
    """
    twin, key = TwinId(user.user.twin), Identity.load(user.user.key, user.user.key_type)
    async with Chain(user.chain.urls) as chain, await rmb.connect(user.bus.redis) as bus:
        found = await chain.node(NodeId(node_id))
        if found is None:
            raise ClientError(f"there is no node {node_id} on this chain")
        node = NodeClient(found.twin_id, bus)
        workloads = await describe(node, image)

        def deployment(contract: ContractId) -> Deployment:
            return Deployment(
                version=0,
                twin_id=twin,
                contract_id=contract,
                workloads=workloads,
                signature_requirement=SignatureRequirement(
                    weight_required=1, requests=[SignatureRequest(twin, weight=1)]
                ),
            )

        # The contract holds the hash of the deployment; the contract's number is no part of the hash.
        digest = deployment(ContractId(0)).challenge_hash().hex()
        contract = await chain.create_node_contract(key, NodeId(node_id), digest, b"{}", public_ips=1)
        try:
            dl = deployment(contract)
            dl = dl.sign(twin, key)
            await node.deployment_deploy(dl, timeout=30)
            async with asyncio.timeout(PATIENCE_S):
                return await results(node, contract)
        except BaseException:
            await asyncio.shield(chain.cancel_contract(key, contract))
            raise


async def describe(node: NodeClient, image: str) -> list[Workload]:
    """A network of one node, and a machine in it that has a disk and a public address."""
    port = free_port(await node.network_list_wg_ports(), 0)
    return [
        network(
            "lan",
            ip_range="10.40.0.0/16",
            subnet="10.40.1.0/24",
            wireguard_private_key=WireGuardKey.generate().private,
            wireguard_listen_port=port,
        ),
        zmount("data", size=1 * GIB),
        publicip("front", v4=True),
        zmachine(
            "vm",
            flist=image,
            network="lan",
            ip="10.40.1.2",
            cpu=1,
            memory=256 * MIB,
            public_ip="front",
            mounts={"data": "/data"},
            entrypoint="/sbin/zinit",
        ),
    ]


async def results(node: NodeClient, contract: ContractId) -> Deployment:
    """The deployment once every workload runs.  Raises ClientError as soon as one failed."""
    while True:
        shown = await node.deployment_get(contract)
        for workload in shown.workloads:
            if workload.result.state is ResultState.ERROR:
                raise ClientError(f"{workload.name}: {workload.result.message}")
        if all(workload.result.state is ResultState.OK for workload in shown.workloads):
            return shown
        await asyncio.sleep(0.5)


def run() -> int:
    """0 when everything runs, 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(description="Deploy a machine on one node.")
    parser.add_argument("node", type=int, help="number of the node")
    parser.add_argument("image", help="address of a root file system archive")
    parser.add_argument("--profile", default=None, help="which grid, as for `zos`")
    given = parser.parse_args()
    try:
        user = profile.load(given.profile)
        enter(user.network.namespace)
        shown = asyncio.run(main(given.node, given.image, user))
    except (ClientError, rmb.RmbError, ChainError, ChainUnavailable, TimeoutError, ValueError) as problem:
        print(f"manual: {problem or 'not ready in time'}", file=sys.stderr)
        return 1
    for workload in shown.workloads:
        data = workload.load_result()
        print(f"{workload.name:6} {workload.type.value:9} {workload.result.state.value}  {data or ''}")
    print(f"contract {shown.contract_id}: `zos cancel {shown.contract_id}` ends it")
    return 0


if __name__ == "__main__":
    sys.exit(run())
