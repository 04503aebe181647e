"""What is looked at before anything is signed or paid (decision 53).  Pure, over facts fetched first."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from client.node_answers import Counters
from gridtypes import GIB, Deployment, WorkloadType
from gridtypes.workloads import ZMachine

MIN_BALANCE = 100_000
"""Units of 1e-7 tokens that an account should have before it makes a contract: fees, and the first bill."""
_GUARDED_MOUNTS = ("/", "/dev", "/proc", "/sys")


def capacity_problems(node: int, deployment: Deployment, counters: Counters) -> list[str]:
    """Which resource of the node does not suffice; empty when all do."""
    needed, free = deployment.capacity(), counters.free
    return [
        f"node {node} has {have / GIB:.1f} GiB {what} free, {need / GIB:.1f} GiB are asked for"
        for what, need, have in (
            ("memory", needed.mru, free.mru),
            ("SSD", needed.sru, free.sru),
            ("HDD", needed.hru, free.hru),
        )
        if need > have
    ]


def feature_problems(node: int, deployment: Deployment, features: list[str]) -> list[str]:
    """Workload types that the node does not offer."""
    wanted = {str(workload.type.value) for workload in deployment.workloads}
    aliases = {WorkloadType.IPV4.value: WorkloadType.IP.value}
    missing = sorted(kind for kind in wanted if aliases.get(kind, kind) not in features)
    return [f"node {node} offers no {kind}; it offers {', '.join(sorted(features))}" for kind in missing]


def mount_problems(deployment: Deployment) -> list[str]:
    """Mount points that a node refuses: not absolute, twice, or hiding the system's own."""
    problems = []
    for workload in deployment.by_type(WorkloadType.ZMACHINE):
        data = workload.load()
        assert isinstance(data, ZMachine)
        points: set[str] = set()
        for mount in data.mounts:
            point = mount.mountpoint.rstrip("/") or "/"
            if not point.startswith("/"):
                problems.append(f"mount point {point!r} of {workload.name} is not absolute: write /{point}")
            elif point in _GUARDED_MOUNTS or point.startswith(("/dev/", "/proc/", "/sys/")):
                problems.append(
                    f"mount point {point!r} of {workload.name} hides the system's own; use another"
                )
            elif point in points:
                problems.append(f"mount point {point!r} of {workload.name} is used twice")
            points.add(point)
    return problems


def public_image_urls(deployments: Mapping[int, Deployment]) -> set[str]:
    """Images that should be reachable from here: their host is a name or a public address."""
    found = set()
    for deployment in deployments.values():
        for workload in deployment.by_type(WorkloadType.ZMACHINE):
            data = workload.load()
            assert isinstance(data, ZMachine)
            if _is_public(data.flist):
                found.add(data.flist)
    return found


def image_form_problems(deployments: Mapping[int, Deployment]) -> list[str]:
    """Image addresses that no node can fetch."""
    return [
        f"image {data.flist!r} of {workload.name} is no http:// or https:// address"
        for deployment in deployments.values()
        for workload in deployment.by_type(WorkloadType.ZMACHINE)
        if isinstance(data := workload.load(), ZMachine)
        and urlsplit(data.flist).scheme not in ("http", "https", "file")
    ]


def _is_public(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return bool(host) and host != "localhost"
