"""Where the node is stricter than gridtypes (decision 15).  Pure; every rule raises Refusal with its own text.

| rule | text begins with |
|------|------------------|
| bytes of the body | `deployment has … bytes, the limit is` |
| workloads | `deployment has … workloads, the limit is` |
| `data: null` | `failed to load data` (gridtypes has the text) |
| type that this node does not run | `workload type '…' is not supported by this node` |
| twin twice in the signature requests | `twin … stands more than once in the signature requests` |
| update without those who had to sign before | `an update has to be signed by` |
| disk twice in a machine | `disk '…' is mounted more than once` |
| mount point twice in a machine | `mount point '…' is used for more than one disk` |
| mount of something that is not there | `machine '…' mounts disk '…', which` |
| mount point that is not absolute | `mount point '…' of machine '…' is not an absolute path` |
| mount point over the system's own | `mount point '…' of machine '…' would hide` |
| gateway backend on the node itself | `backend … points to the node's own public IP address` |
| gateway backend on loopback | `backend … is a loopback address` |
| `ip` workload beyond the contract's addresses | `required … ips while contract has … ip reserved` |
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from gridtypes import Deployment, Workload, WorkloadType
from gridtypes.workloads import (
    GatewayFQDNProxy,
    GatewayNameProxy,
    PublicIP,
    PublicIP4,
    ZMachine,
    ZMachineLight,
)
from zosd.accept.refusal import Refusal

MAX_BODY = 1 << 20
"""Bytes (decision 13)."""
MAX_WORKLOADS = 100

MOUNTABLE = frozenset({WorkloadType.ZMOUNT, WorkloadType.VOLUME, WorkloadType.QSFS})

SYSTEM_TREES = ("/proc", "/sys", "/dev", "/run")
"""Nothing may be mounted on or below these."""
SYSTEM_FOLDERS = frozenset(
    {
        "/",
        "/bin",
        "/boot",
        "/etc",
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
        "/sbin",
        "/usr",
        "/usr/bin",
        "/usr/lib",
    }
    | {"/usr/sbin"}
)
"""Nothing may be mounted on these; below them it may."""

Address = IPv4Address | IPv6Address


def check_size(body: bytes) -> None:
    if len(body) > MAX_BODY:
        raise Refusal(f"deployment has {len(body)} bytes, the limit is {MAX_BODY}")


def check_deployment(
    deployment: Deployment, supported: Collection[WorkloadType], own_addresses: Collection[Address]
) -> None:
    """All rules that need no look at the chain.  The deployment has passed `Deployment.check`."""
    if len(deployment.workloads) > MAX_WORKLOADS:
        raise Refusal(
            f"deployment has {len(deployment.workloads)} workloads, the limit is {MAX_WORKLOADS}: "
            "use more than one deployment"
        )
    for workload in deployment.workloads:
        if workload.type not in supported:
            offered = ", ".join(sorted(type.value for type in supported))
            raise Refusal(
                f"workload type '{workload.type.value}' is not supported by this node, which offers: {offered}"
            )
    _check_requests(deployment)
    for workload in deployment.workloads:
        data = workload.load()
        if isinstance(data, ZMachine | ZMachineLight):
            _check_mounts(deployment, workload, data)
        elif isinstance(data, GatewayNameProxy | GatewayFQDNProxy):
            for backend in data.backends:
                _check_backend(str(backend), data.tls_passthrough, own_addresses)


def wanted_addresses(deployment: Deployment) -> int:
    """How many IPv4 addresses of the contract the deployment takes."""
    return sum(_takes_address(workload) for workload in deployment.workloads)


def check_addresses(wanted: int, reserved: int) -> None:
    if wanted > reserved:
        raise Refusal(f"required {wanted} ips while contract has {reserved} ip reserved")


def _takes_address(workload: Workload) -> bool:
    if workload.type not in (WorkloadType.IP, WorkloadType.IPV4):
        return False
    data = workload.load()
    return isinstance(data, PublicIP4) or (isinstance(data, PublicIP) and data.v4)


def _check_requests(deployment: Deployment) -> None:
    counts = Counter(request.twin_id for request in deployment.signature_requirement.requests)
    for twin, count in counts.items():
        if count > 1:
            raise Refusal(
                f"twin {twin} stands more than once in the signature requests: one request with the whole weight "
                "is needed"
            )


def check_former_signers(former: Deployment, wanted: Deployment) -> None:
    """An update satisfies the requirement of the version that it replaces, too: nobody drops a co-signer alone.

    Whoever is listed has signed, as `Deployment.verify` has seen.  A co-signer leaves in two steps: he signs an update
    in which he is no longer needed, and the next one goes without him.
    """
    signers = {request.twin_id for request in wanted.signature_requirement.requests}
    old = former.signature_requirement
    missing = {one.twin_id for one in old.requests if one.required and one.twin_id not in signers}
    weight = sum(one.weight for one in old.requests if one.twin_id in signers)
    if weight < old.weight_required:
        missing |= {one.twin_id for one in old.requests if one.twin_id not in signers}
    if missing:
        names = ", ".join(str(twin) for twin in sorted(missing))
        raise Refusal(
            f"an update has to be signed by whoever had to sign the stored version: twin {names} is missing in the "
            "signature requests"
        )


def _check_mounts(deployment: Deployment, workload: Workload, data: ZMachine | ZMachineLight) -> None:
    disks = {other.name for other in deployment.workloads if other.type in MOUNTABLE}
    points: dict[str, str] = {}
    names: dict[str, str] = {}
    for mount in data.mounts:
        point = _mount_point(workload, str(mount.mountpoint))
        if mount.name not in disks:
            raise Refusal(
                f"machine '{workload.name}' mounts disk '{mount.name}', which is not a zmount, volume or qsfs of this "
                "deployment"
            )
        if mount.name in names:
            raise Refusal(
                f"disk '{mount.name}' is mounted more than once in machine '{workload.name}': "
                f"at {names[mount.name]} and {point}"
            )
        if point in points:
            raise Refusal(
                f"mount point '{point}' is used for more than one disk in machine '{workload.name}': "
                f"{points[point]} and {mount.name}"
            )
        names[mount.name] = point
        points[point] = mount.name


def _mount_point(workload: Workload, text: str) -> str:
    if not text.startswith("/") or ".." in text.split("/") or "\0" in text or "\n" in text:
        raise Refusal(
            f"mount point '{text}' of machine '{workload.name}' is not an absolute path without '..' "
            "(example: /data)"
        )
    point = posixpath.normpath(re.sub("/+", "/", text))
    if point in SYSTEM_FOLDERS or any(point == tree or point.startswith(tree + "/") for tree in SYSTEM_TREES):
        raise Refusal(
            f"mount point '{text}' of machine '{workload.name}' would hide the system's own files: "
            "choose another, for example /data"
        )
    return point


def _check_backend(backend: str, passthrough: bool, own_addresses: Collection[Address]) -> None:
    host = backend.rpartition(":")[0] if passthrough else urlsplit(backend).hostname or ""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return  # gridtypes has its own word on the form
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    if address.is_loopback:
        raise Refusal(f"backend {backend} is a loopback address")
    if address in own_addresses:
        raise Refusal(f"backend {backend} points to the node's own public IP address")
