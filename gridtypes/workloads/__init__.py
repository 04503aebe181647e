"""The data of the thirteen workload types."""

from __future__ import annotations

from typing import Final

from gridtypes.workload_type import WorkloadType
from gridtypes.workloads.data import Sibling, Siblings, WorkloadData, load_data
from gridtypes.workloads.gateway import GatewayFQDNProxy, GatewayNameProxy
from gridtypes.workloads.network import Mycelium, Network, NetworkLight, Peer
from gridtypes.workloads.public_ip import PublicIP, PublicIP4
from gridtypes.workloads.qsfs import (
    QSFS,
    Compression,
    Encryption,
    Meta,
    MetaConfig,
    QSFSConfig,
    ZdbBackend,
    ZdbGroup,
)
from gridtypes.workloads.storage import ZDB, Volume, ZMount
from gridtypes.workloads.zlogs import ZLogs
from gridtypes.workloads.zmachine import (
    MachineCapacity,
    MachineInterface,
    MachineMount,
    MachineNetwork,
    MachineNetworkLight,
    MyceliumIP,
    ZMachine,
    ZMachineLight,
    root_size,
)

DATA_MODELS: Final[dict[WorkloadType, type[WorkloadData]]] = {
    WorkloadType.ZMACHINE: ZMachine,
    WorkloadType.ZMACHINE_LIGHT: ZMachineLight,
    WorkloadType.NETWORK: Network,
    WorkloadType.NETWORK_LIGHT: NetworkLight,
    WorkloadType.ZMOUNT: ZMount,
    WorkloadType.VOLUME: Volume,
    WorkloadType.ZDB: ZDB,
    WorkloadType.IP: PublicIP,
    WorkloadType.IPV4: PublicIP4,
    WorkloadType.GATEWAY_NAME_PROXY: GatewayNameProxy,
    WorkloadType.GATEWAY_FQDN_PROXY: GatewayFQDNProxy,
    WorkloadType.QSFS: QSFS,
    WorkloadType.ZLOGS: ZLogs,
}

__all__ = [
    "DATA_MODELS",
    "QSFS",
    "ZDB",
    "Compression",
    "Encryption",
    "GatewayFQDNProxy",
    "GatewayNameProxy",
    "MachineCapacity",
    "MachineInterface",
    "MachineMount",
    "MachineNetwork",
    "MachineNetworkLight",
    "Meta",
    "MetaConfig",
    "Mycelium",
    "MyceliumIP",
    "Network",
    "NetworkLight",
    "Peer",
    "PublicIP",
    "PublicIP4",
    "QSFSConfig",
    "Sibling",
    "Siblings",
    "Volume",
    "WorkloadData",
    "ZLogs",
    "ZMachine",
    "ZMachineLight",
    "ZMount",
    "ZdbBackend",
    "ZdbGroup",
    "load_data",
    "root_size",
]
