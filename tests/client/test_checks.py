"""What is looked at before anything is paid."""

from __future__ import annotations

import pytest

from client import checks, workloads
from client.node_answers import Amounts, Counters
from gridtypes import GIB, Deployment, Workload


def machine(flist: str = "http://10.0.0.1/i", mounts: dict[str, str] | None = None) -> Workload:
    return workloads.zmachine("vm", flist=flist, network="n", ip="10.1.1.2", memory=GIB, mounts=mounts)


def test_capacity_names_resource_node_and_amounts() -> None:
    counters = Counters(total=Amounts(sru=10 * GIB, mru=2 * GIB), used=Amounts(sru=9 * GIB, mru=2 * GIB))
    wanted = Deployment(workloads=[machine(), workloads.zmount("d", size=2 * GIB)])
    memory, disk = checks.capacity_problems(3, wanted, counters)
    assert memory == "node 3 has 0.0 GiB memory free, 1.0 GiB are asked for"
    assert disk.startswith("node 3 has 1.0 GiB SSD free, 2.")
    assert checks.capacity_problems(3, wanted, Counters(total=Amounts(sru=10 * GIB, mru=2 * GIB))) == []


def test_free_capacity_is_never_below_zero() -> None:
    assert Counters(total=Amounts(mru=1), used=Amounts(mru=5)).free.mru == 0


def test_a_type_that_the_node_lacks_is_named() -> None:
    wanted = Deployment(workloads=[workloads.zmount("d", size=1), workloads.publicip("p")])
    assert checks.feature_problems(1, wanted, ["zmount", "ip"]) == []
    assert checks.feature_problems(1, wanted, ["zmount"]) == ["node 1 offers no ip; it offers zmount"]


@pytest.mark.parametrize(
    ("mounts", "part"),
    [
        ({"d": "data"}, "'data' of vm is not absolute: write /data"),
        ({"d": "/"}, "hides the system's own"),
        ({"d": "/dev/"}, "hides the system's own"),
        ({"d": "/proc/x"}, "hides the system's own"),
        ({"d": "/a", "e": "/a/"}, "'/a' of vm is used twice"),
    ],
)
def test_mounts_that_a_node_refuses(mounts: dict[str, str], part: str) -> None:
    (problem,) = checks.mount_problems(Deployment(workloads=[machine(mounts=mounts)]))
    assert part in problem


def test_good_mounts() -> None:
    wanted = Deployment(workloads=[machine(mounts={"d": "/data", "e": "/development"})])
    assert checks.mount_problems(wanted) == []


@pytest.mark.parametrize(
    ("url", "is_public"),
    [
        ("http://10.99.0.254:8080/i", False),
        ("http://localhost/i", False),
        ("http://[fe80::1]/i", False),
        ("https://hub.grid.tf/i.flist", True),
        ("http://8.8.8.8/i", True),
        ("file:///i", False),
    ],
)
def test_only_public_hosts_are_tried_from_here(url: str, is_public: bool) -> None:
    assert checks.public_image_urls({1: Deployment(workloads=[machine(url)])}) == (
        {url} if is_public else set()
    )


def test_an_image_needs_an_address_that_a_node_can_fetch() -> None:
    (problem,) = checks.image_form_problems({1: Deployment(workloads=[machine("ubuntu:22.04")])})
    assert problem == "image 'ubuntu:22.04' of vm is no http:// or https:// address"
    assert checks.image_form_problems({1: Deployment(workloads=[machine()])}) == []
