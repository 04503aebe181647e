"""What a deployment may ask of a machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridtypes import Workload
from gridtypes.workloads import MyceliumIP, ZMachine
from provisioners.protocol import PlacedWorkload, WorkloadError
from provisioners.zmachine.specification import (
    mount_target,
    specification,
    split_entrypoint,
    split_keys,
)
from tests.host.zmachine.lab import MIB, machine, workload_id


def changed(**fields: object) -> PlacedWorkload:
    data = machine("vm").workload.load()
    assert isinstance(data, ZMachine)
    return PlacedWorkload(workload_id("vm"), Workload.build("vm", replace(data, **fields)))  # type: ignore[arg-type]


def test_a_deployment_in_our_own_terms() -> None:
    wanted = specification(
        machine("vm", mounts=[("b", "/data/"), ("a", "//x")], env={"SSH_KEY": "ssh-rsa A"})
    )
    assert (wanted.network, str(wanted.address), wanted.cpus) == ("net", "10.20.2.7", 1)
    assert [(str(disk.zmount), disk.serial, disk.target) for disk in wanted.disks] == [
        ("7-1000-b", "zm0", "/data"),
        ("7-1000-a", "zm1", "/x"),
    ]
    assert wanted.root_size == 500 * MIB
    assert wanted.command == ("/sbin/zinit", "init")
    assert wanted.ssh_keys == ("ssh-rsa A",)


@pytest.mark.parametrize(
    ("workload", "reason"),
    [
        (changed(gpu=["0000:28:00.0/1002/731f"]), "no GPU"),
        (changed(corex=True), "corex is not supported"),
        (changed(env={"BAD NAME": "x"}), "environment variable name 'BAD NAME'"),
        (changed(env={"A": "\0"}), "environment variable A holds a NUL"),
        (changed(network=replace(machine("vm").workload.load().network, interfaces=[])), "names 0"),  # type: ignore[attr-defined]
        (
            changed(
                network=replace(machine("vm").workload.load().network, mycelium=MyceliumIP("n", b"123456"))
            ),  # type: ignore[attr-defined]
            "does not support mycelium",
        ),
    ],
)
def test_what_this_node_cannot_do_is_named(workload: PlacedWorkload, reason: str) -> None:
    with pytest.raises(WorkloadError, match=reason):
        specification(workload)


def test_an_entrypoint_is_split_by_the_rules_of_the_shell() -> None:
    assert split_entrypoint("") == ("/sbin/init",)
    assert split_entrypoint("""/bin/sh -c 'echo "$HOME"'""") == ("/bin/sh", "-c", 'echo "$HOME"')
    with pytest.raises(WorkloadError, match="invalid entrypoint"):
        split_entrypoint("sh 'open")


def test_keys_are_split_where_another_key_begins() -> None:
    text = 'from="10.0.0.1,10.0.0.2" ssh-ed25519 A me\n\nssh-rsa B,ecdsa-sha2-nistp256 C\nssh-rsa B'
    assert split_keys(text) == (
        'from="10.0.0.1,10.0.0.2" ssh-ed25519 A me',
        "ssh-rsa B",
        "ecdsa-sha2-nistp256 C",
    )


@pytest.mark.parametrize("path", ["/", "//", "data", "", "/a/../..", "/a\0b", "/."])
def test_a_mount_point_is_a_place_of_its_own(path: str) -> None:
    with pytest.raises(WorkloadError):
        mount_target(path)
