"""What a deployment asks of a machine, checked and in our own terms.  Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import PurePosixPath

from gridtypes import WorkloadId
from gridtypes.workloads import ZMachine
from gridtypes.workloads.zmachine import root_size
from provisioners.protocol import PlacedWorkload, WorkloadError

DEFAULT_COMMAND = ("/sbin/init",)
SSH_KEY = "SSH_KEY"
"""The environment variable that holds the keys for root."""
DISK_LIMIT = 24
"""Disks of one machine: each takes a slot of the guest's PCI bus."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_BETWEEN_KEYS = re.compile(r"\n|,(?=\s*(?:ssh-|ecdsa-|sk-))")
"""A comma stands between keys only where another key follows: options of a key have commas, too."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A zmount of the machine."""

    zmount: WorkloadId
    serial: str
    target: str
    """Absolute path in the guest."""


@dataclass(frozen=True, slots=True)
class Specification:
    """One machine in container mode."""

    id: WorkloadId
    image: str
    """URL of the root file system archive."""
    network: str
    address: IPv4Address
    public_ip: WorkloadId | None
    planetary: bool
    cpus: int
    memory: int
    """Bytes."""
    root_size: int
    """Bytes."""
    disks: tuple[Disk, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ssh_keys: tuple[str, ...]


def specification(placed: PlacedWorkload) -> Specification:
    """Read a workload of type zmachine.  Raises WorkloadError for what this node cannot do."""
    data = placed.workload.load()
    if not isinstance(data, ZMachine):
        raise WorkloadError(f"workload '{placed.id.name}' of type {placed.type.value} is no zmachine")
    _refuse_unsupported(data)
    interfaces = data.network.interfaces
    if len(interfaces) != 1:
        raise WorkloadError(f"only one private network is supported, the machine names {len(interfaces)}")
    address = interfaces[0].ip
    if not isinstance(address, IPv4Address):
        raise WorkloadError(f"invalid IPv4 supplied to the machine's interface: {address}")
    if len(data.mounts) > DISK_LIMIT:
        raise WorkloadError(f"a machine takes {DISK_LIMIT} mounts, this one names {len(data.mounts)}")
    environment = {str(name): str(value) for name, value in data.env.items()}
    for name, value in environment.items():
        _check_variable(name, value)
    return Specification(
        id=placed.id,
        image=data.flist,
        network=interfaces[0].network,
        address=address,
        public_ip=sibling(placed.id, data.network.public_ip) if data.network.public_ip else None,
        planetary=data.network.planetary,
        cpus=data.compute_capacity.cpu,
        memory=data.compute_capacity.memory,
        root_size=root_size(data.compute_capacity, data.size),
        disks=tuple(
            Disk(sibling(placed.id, mount.name), f"zm{number}", mount_target(mount.mountpoint))
            for number, mount in enumerate(data.mounts)
        ),
        command=split_entrypoint(data.entrypoint),
        environment=environment,
        ssh_keys=split_keys(environment.get(SSH_KEY, "")),
    )


def sibling(id: WorkloadId, name: str) -> WorkloadId:
    """The workload of that name in the same deployment."""
    return WorkloadId.parse(f"{id.twin}-{id.contract}-{name}")


def split_entrypoint(entrypoint: str) -> tuple[str, ...]:
    """The command's words by the shell's rules.  Raises WorkloadError on a quote that does not end."""
    if "\0" in entrypoint:
        raise WorkloadError("invalid entrypoint: it holds a NUL character")
    try:
        return tuple(shlex.split(entrypoint)) or DEFAULT_COMMAND
    except ValueError as error:
        raise WorkloadError(f"invalid entrypoint {entrypoint!r}: {error}") from error


def split_keys(text: str) -> tuple[str, ...]:
    """SSH public keys, which stand on lines of their own or are separated by commas."""
    keys = (" ".join(key.split()) for key in _BETWEEN_KEYS.split(text))
    return tuple(dict.fromkeys(key for key in keys if key))


def mount_target(path: str) -> str:
    """The mount point in its plain form.  Raises WorkloadError when it is relative, `/`, or leads upwards."""
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise WorkloadError(f"mount point {path!r} has to be an absolute path without '..'")
    plain = "/" + str(PurePosixPath(path)).lstrip("/")
    if plain == "/":
        raise WorkloadError("validating disk /: mount target can't be /")
    return plain


def _refuse_unsupported(data: ZMachine) -> None:
    if data.gpu:
        raise WorkloadError(f"this node has no GPU to pass through (asked for {', '.join(data.gpu)})")
    if data.network.mycelium is not None:
        raise WorkloadError("network resource does not support mycelium")
    if data.corex:
        raise WorkloadError("corex is not supported by this node: give the machine an entrypoint of your own")


def _check_variable(name: str, value: str) -> None:
    if not _VARIABLE.match(name):
        raise WorkloadError(
            f"environment variable name {name!r} may hold letters, digits and _ and not start with a digit"
        )
    if "\0" in value:
        raise WorkloadError(f"environment variable {name} holds a NUL character")
