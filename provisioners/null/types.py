"""A null provisioner for each of the thirteen types, with result data as a real one could give them."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

from pydantic import RootModel

from gridtypes import WorkloadType
from gridtypes.results import (
    GatewayFQDNProxyResult,
    GatewayNameProxyResult,
    PublicIPResult,
    QSFSResult,
    VolumeResult,
    ZDBResult,
    ZMachineLightResult,
    ZMachineResult,
    ZMountResult,
)
from gridtypes.workloads import GatewayNameProxy, PublicIP, ZMachine, ZMachineLight
from provisioners.null.provisioner import (
    NullPausable,
    NullProvisioner,
    NullUpdatable,
    NullUpdatablePausable,
    Results,
)
from provisioners.protocol import PlacedWorkload, Provisioner

DOCUMENTATION4 = ip_network("192.0.2.0/24")
"""Range that no real address comes from (RFC 5737)."""
DOCUMENTATION6 = "2001:db8::1/64"


def null_provisioners() -> dict[WorkloadType, Provisioner]:
    """One for every type."""
    kinds: tuple[tuple[type[NullProvisioner], WorkloadType, Results], ...] = (
        (NullUpdatable, WorkloadType.ZMOUNT, lambda w: ZMountResult(volume_id=str(w.id))),
        (NullUpdatable, WorkloadType.VOLUME, lambda w: VolumeResult(id=str(w.id))),
        (NullUpdatable, WorkloadType.QSFS, _qsfs),
        (NullUpdatable, WorkloadType.NETWORK, _nothing),
        (NullUpdatable, WorkloadType.NETWORK_LIGHT, _nothing),
        (NullProvisioner, WorkloadType.IPV4, _public_ip),
        (NullProvisioner, WorkloadType.IP, _public_ip),
        (NullPausable, WorkloadType.ZMACHINE, _machine),
        (NullPausable, WorkloadType.ZMACHINE_LIGHT, _machine_light),
        (NullProvisioner, WorkloadType.ZLOGS, _nothing),
        (NullUpdatablePausable, WorkloadType.ZDB, _zdb),
        (NullProvisioner, WorkloadType.GATEWAY_NAME_PROXY, _gateway_name),
        (NullProvisioner, WorkloadType.GATEWAY_FQDN_PROXY, lambda w: GatewayFQDNProxyResult()),
    )
    return {type: kind(type, results) for kind, type, results in kinds}


class NoData(RootModel[None]):
    """Result data of types that have none: JSON `null`, but there, so that `recover` can tell what is there."""

    root: None = None


def _nothing(workload: PlacedWorkload) -> NoData:
    return NoData()


def _machine(workload: PlacedWorkload) -> ZMachineResult:
    data = workload.workload.load()
    ip = str(data.network.interfaces[0].ip) if isinstance(data, ZMachine) else ""
    return ZMachineResult(id=str(workload.id), ip=ip)


def _machine_light(workload: PlacedWorkload) -> ZMachineLightResult:
    data = workload.workload.load()
    ip = str(data.network.interfaces[0].ip) if isinstance(data, ZMachineLight) else ""
    return ZMachineLightResult(id=str(workload.id), ip=ip)


def _public_ip(workload: PlacedWorkload) -> PublicIPResult:
    data = workload.workload.load()
    wants4, wants6 = (data.v4, data.v6) if isinstance(data, PublicIP) else (True, False)
    place = 2 + int(workload.contract) % 250
    address = ip_address(int(DOCUMENTATION4.network_address) + place)
    return PublicIPResult(
        ip=f"{address}/{DOCUMENTATION4.prefixlen}" if wants4 else "",
        ip6=str(ip_interface(DOCUMENTATION6)) if wants6 else "",
        gateway=str(DOCUMENTATION4.network_address + 1) if wants4 else "",
    )


def _zdb(workload: PlacedWorkload) -> ZDBResult:
    return ZDBResult(Namespace=str(workload.id), IPs=[], Port=9900)


def _gateway_name(workload: PlacedWorkload) -> GatewayNameProxyResult:
    data = workload.workload.load()
    name = data.name if isinstance(data, GatewayNameProxy) else workload.id.name
    return GatewayNameProxyResult(fqdn=f"{name}.null.invalid")


def _qsfs(workload: PlacedWorkload) -> QSFSResult:
    return QSFSResult(path=f"/null/{workload.id}")
