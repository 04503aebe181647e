"""A real node: network, pools, accelerator and the provisioners that stand on them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from pathlib import Path

import structlog
from pydantic import ValidationError

from gridtypes import WorkloadType
from provisioners.images.addresses import AddressPolicy, Network
from provisioners.images.own_ranges import own_ranges
from provisioners.images.store import ImageConfig, ImageStore
from provisioners.ip import PublicIpProvisioner
from provisioners.network import NetworkProvisioner
from provisioners.protocol import Context, NodePaths, Provisioner
from provisioners.system import cgroup
from provisioners.system.accelerator import Verdict
from provisioners.system.disk_class import DiskClass
from provisioners.system.node_network import NodeNetwork
from provisioners.system.node_network_config import NodeNetworkConfig, PublicConfig, YggdrasilSettings
from provisioners.system.pools import DiskConfig, Pools
from provisioners.system.qemu_arguments import Accelerator
from provisioners.system.root_volumes import QuotaRootVolumes
from provisioners.zmachine import GuestImage, GuestStatus, ZMachineProvisioner
from provisioners.zmount import ZMountProvisioner
from tfchain import key_file, secret
from zosd.config import Config, MachineSection, NetworkSection, StorageSection
from zosd.parts import Parts, Report
from zosd.real_machine import RealMachine

log = structlog.get_logger(__name__)

MOST_STATUSES = 1024
"""Reports of machines that may wait to be written down."""


class NoKvm(ValueError):
    """The configuration demands KVM and it does not work here."""


async def real_parts(config: Config, paths: NodePaths, key: Path) -> Parts:
    """Ensure network, pools and accelerator, in this order, and make the provisioners.

    `key` is the file of the node's ed25519 key.  Raises LinkError, CommandFailed, OSError, GuestImageMissing, NoKvm.
    """
    network = NodeNetwork(_network(config.network), paths, _seed(key))
    await network.ensure()
    # QEMU runs as a user of its own and has to pass; the run folder lets it.
    pools = Pools(_disks(config.storage), paths.run / "pools")
    await pools.ensure()
    machines = await _machines(config.machine, paths)
    networks = NetworkProvisioner(network)
    addresses = PublicIpProvisioner(network, WorkloadType.IP)
    provisioners: dict[WorkloadType, Provisioner] = {
        WorkloadType.ZMOUNT: ZMountProvisioner(pools),
        WorkloadType.NETWORK: networks,
        WorkloadType.IPV4: PublicIpProvisioner(network, WorkloadType.IPV4),
        WorkloadType.IP: addresses,
        WorkloadType.ZMACHINE: machines,
    }
    accelerator = machines.accelerator.accelerator.value
    machine = RealMachine(
        config.capacity, network, pools, machines.overhead, (accelerator,), config.machine.gpus
    )

    farm_ranges: list[Network] = []

    def set_farm_addresses(addresses: Sequence[str]) -> None:
        farm_ranges[:] = _ranges(addresses)

    async def begin(ctx: Context) -> None:
        await networks.sweep(ctx)

    async def set_public_config(text: str, look_again: Callable[[WorkloadType], None]) -> None:
        before = network.public_config
        wanted = _public_config(text)
        if wanted != before:
            await network.set_public_config(wanted)
            look_again(WorkloadType.NETWORK)

    return Parts(
        machine,
        provisioners,
        QuotaRootVolumes(pools),
        ImageStore(paths.cache / "images", _images(config), lambda: [*own_ranges(), *farm_ranges]),
        begin=begin,
        watch=lambda report: _watch(machines, network, report),
        set_public_config=set_public_config,
        set_farm_addresses=set_farm_addresses,
        traffic=addresses.traffic,
        close=machines.close,
    )


async def _machines(section: MachineSection, paths: NodePaths) -> ZMachineProvisioner:
    if section.accelerator == "tcg":
        image = GuestImage.load(section.guest)
        groups = await asyncio.to_thread(cgroup.probe)
        machines = ZMachineProvisioner(image, Verdict(Accelerator.TCG, "the configuration says so"), groups)
    else:
        machines = await ZMachineProvisioner.open(paths, section.guest)
    verdict = machines.accelerator
    if section.require_kvm and verdict.accelerator is not Accelerator.KVM:
        raise NoKvm(
            f"[machine] require_kvm is set, but KVM cannot be used: {verdict.reason}; enable virtualisation in the "
            "firmware, or take the key out"
        )
    return machines


async def _watch(machines: ZMachineProvisioner, network: NodeNetwork, report: Report) -> None:
    """Keep the node's own network as it should be, and write down what the machines' keepers say."""
    async with asyncio.TaskGroup() as group:
        group.create_task(network.watch(), name="node network")
        group.create_task(_watch_machines(machines, report), name="machines")


async def _watch_machines(machines: ZMachineProvisioner, report: Report) -> None:
    """In order, and without holding the keepers up."""
    statuses: asyncio.Queue[GuestStatus] = asyncio.Queue(MOST_STATUSES)

    def changed(status: GuestStatus) -> None:
        if statuses.full():
            # Only the newest counts, and every machine tells again at its next change.
            statuses.get_nowait()
        statuses.put_nowait(status)

    machines.changed = changed
    while True:
        status = await statuses.get()
        await report(status.id, status.error)


def _network(section: NetworkSection) -> NodeNetworkConfig:
    yggdrasil = YggdrasilSettings(peers=section.yggdrasil_peers, multicast=section.yggdrasil_multicast)
    return NodeNetworkConfig.model_validate(
        {
            **({"uplink": section.uplink} if section.uplink else {}),
            "public_nic": section.public_nic or None,
            "mtu": section.mtu or None,
            "open_prefixes": section.open_prefixes,
            "yggdrasil": yggdrasil,
        }
    )


def _disks(section: StorageSection) -> list[DiskConfig]:
    classes = {path: DiskClass(kind) for path, kind in section.classes.items()}
    return [DiskConfig(path, classes.get(str(path))) for path in section.disks]


def _images(config: Config) -> ImageConfig:
    section = config.images
    return ImageConfig(
        policy=AddressPolicy(allowed_hosts=frozenset(host.lower() for host in section.allow_hosts)),
        file_roots=(Path(section.file_root),) if section.file_root else (),
    )


def _ranges(addresses: Sequence[str]) -> list[Network]:
    """The networks of addresses with prefixes; what is none is left out with a line in the log."""
    found: list[Network] = []
    for address in addresses:
        try:
            found.append(ip_network(address, strict=False))
        except ValueError as problem:
            log.warning("public address of the farm cannot be read", address=address, why=str(problem))
    return found


def _seed(file: Path) -> bytes:
    """The 32 bytes that the overlay's key is made of: the same that the node's account is made of."""
    return bytes(secret.ed25519_key(secret.parse(key_file.read(file).removeprefix("ed25519:"))))


def _public_config(text: str) -> PublicConfig | None:
    value = json.loads(text)
    if value is None:
        return None
    try:
        return PublicConfig.model_validate({name: part for name, part in value.items() if part})
    except ValidationError as error:
        log.warning("the chain's public configuration cannot be used", why=str(error))
        return None
