"""A small chain state for tests of the front."""

from __future__ import annotations

from devgrid.front.snapshot import Snapshot
from gridtypes import ContractId, FarmId, NodeId, TwinId
from tfchain.models import (
    ConfiguredAddress,
    Contract,
    ContractState,
    Farm,
    Interface,
    Location,
    NameContract,
    Node,
    NodeContract,
    NodePower,
    PublicConfig,
    PublicIp,
    RentContract,
    Resources,
    Twin,
)

GIB = 1 << 30


def node(number: int, farm: int, *, gateway: bool = False) -> Node:
    return Node(
        id=NodeId(number),
        farm_id=FarmId(farm),
        twin_id=TwinId(10 + number),
        resources=Resources(hru=0, sru=512 * GIB, cru=8, mru=16 * GIB),
        location=Location("Gent", "Belgium", "51.05", "unknown"),
        public_config=PublicConfig(
            ConfiguredAddress("185.206.122.40/24", "185.206.122.1"), domain="g.example.org"
        )
        if gateway
        else None,
        created=1_700_000_000,
        farming_policy_id=1,
        interfaces=(Interface("zos", "54:45:46:f6:02:61", ("10.5.0.2",)),),
        certification="Diy",
        secure_boot=False,
        virtualized=True,
        serial_number=None,
        connection_price=80,
    )


def contract(number: int, twin: int, content: NodeContract | NameContract | RentContract) -> Contract:
    return Contract(ContractId(number), TwinId(twin), ContractState.CREATED, content)


STATE = Snapshot(
    farms=[
        Farm(
            id=FarmId(1),
            name="DevFarm",
            twin_id=TwinId(1),
            pricing_policy_id=1,
            certification="NotCertified",
            public_ips=(
                PublicIp("185.206.122.33/24", "185.206.122.1", ContractId(1)),
                PublicIp("185.206.122.34/24", "185.206.122.1"),
            ),
            dedicated_farm=False,
            farming_policy_limits=None,
        ),
        Farm(FarmId(2), "rented", TwinId(2), 1, "Gold", (), True, None),
    ],
    nodes=[node(1, 1), node(2, 1, gateway=True), node(3, 2)],
    twins=[
        Twin(TwinId(1), bytes(32), "relay.devgrid", b"\2" * 33),
        Twin(TwinId(2), bytes([1] * 32), None, None),
    ],
    contracts=[
        contract(
            1,
            2,
            NodeContract(
                NodeId(1),
                "ab" * 16,
                b'{"type":"vm","projectName":"p"}',
                1,
                (PublicIp("185.206.122.33/24", "g"),),
            ),
        ),
        contract(2, 2, NameContract("site")),
        contract(3, 2, RentContract(NodeId(2))),
    ],
    powers={NodeId(3): NodePower(False, True, 5)},
    used={ContractId(1): Resources(sru=10 * GIB, cru=2, mru=4 * GIB)},
    extra_fees={NodeId(2): 700},
    payout_addresses={FarmId(1): "GABC"},
)
