"""Workloads as the daemon hands them to a provisioner."""

from gridtypes import Workload
from gridtypes.workloads import ZMount
from provisioners.protocol import PlacedWorkload
from tests.host.storage.conftest import workload_id


def placed_zmount(name: str, size: int) -> PlacedWorkload:
    return PlacedWorkload(workload_id(name), Workload.build(name, ZMount(size=size)))
