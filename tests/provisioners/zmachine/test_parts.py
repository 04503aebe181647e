"""Small decisions: memory, places, owner files, control groups, hostile images."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provisioners.protocol import NodePaths, OwnerFile
from provisioners.system.cgroup import Group, Layout, Limits
from provisioners.system.qemu_arguments import MIB, Accelerator
from provisioners.system.virtiofsd import SharedFolder, Sharing, arguments
from provisioners.zmachine import GuestImage, GuestImageMissing, memory
from provisioners.zmachine.place import Place
from provisioners.zmachine.record import USER_BASE, USER_COUNT, MachineRecord, UnknownProtocol
from provisioners.zmachine.root import is_full_machine, remove_host_keys
from provisioners.zmachine.specification import specification
from tests.host.zmachine.lab import machine, workload_id


def test_memory_is_counted_with_what_the_emulator_takes() -> None:
    assert memory.overhead(Accelerator.TCG) == (70 + 64 + 12) * MIB
    assert memory.overhead(Accelerator.KVM, shares=2) == (70 + 24) * MIB
    assert memory.limit(256 * MIB, Accelerator.TCG) > 256 * MIB + memory.overhead(Accelerator.TCG)


def test_a_run_folder_that_is_too_long_for_sockets_is_named() -> None:
    long = Path("/" + "x" * 100)
    with pytest.raises(ValueError, match="use a shorter run folder"):
        Place.of(NodePaths(long, long, long, long), workload_id("vm"))


def test_a_record_is_read_back_and_an_unknown_one_is_not_guessed_at(tmp_path: Path) -> None:
    owner = OwnerFile(tmp_path / "7-1000-vm.json")
    assert MachineRecord.read(owner) is None
    record = MachineRecord.new(specification(machine("vm")))
    assert USER_BASE <= record.user < USER_BASE + USER_COUNT
    record.write(owner)
    assert MachineRecord.read(owner) == record
    assert record.result_data is None
    owner.write({**(owner.read() or {}), "protocol": 2})
    with pytest.raises(UnknownProtocol, match="left running"):
        MachineRecord.read(owner)
    owner.write({"protocol": 1, "nonsense": True})
    with pytest.raises(ValueError, match="not that of a machine"):
        MachineRecord.read(owner)


def test_two_machines_of_one_name_never_share_a_control_group() -> None:
    wanted = specification(machine("vm"))
    assert MachineRecord.new(wanted).group != MachineRecord.new(wanted).group


@pytest.mark.parametrize(
    ("layout", "files"),
    [
        (Layout.V2, {"zos/vm-x/memory.max": "1000", "zos/vm-x/cpu.max": "200000 100000"}),
        (Layout.V1, {}),
    ],
)
def test_limits_are_written_where_the_layout_has_them(
    tmp_path: Path, layout: Layout, files: dict[str, str]
) -> None:
    (tmp_path / "memory").mkdir()
    group = Group("vm-x", layout, tmp_path)
    group.ensure(Limits(1000, 2))
    assert group.exists()
    for name, content in files.items():
        assert (tmp_path / name).read_text() == content
    assert group.entrances() == [folder / "cgroup.procs" for folder in group.folders()]


def test_without_cgroups_everything_is_a_no_op(tmp_path: Path) -> None:
    group = Group("vm-x", Layout.NONE, tmp_path)
    group.ensure(Limits(1, 1))
    group.kill_and_remove()
    assert (group.pids(), group.oom_kills(), group.exists()) == (set(), 0, False)


def test_a_kill_for_want_of_memory_is_counted_in_both_layouts(tmp_path: Path) -> None:
    for layout, file in (
        (Layout.V2, "zos/x/memory.events"),
        (Layout.V1, "memory/zos/x/memory.oom_control"),
    ):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("low 0\noom 4\noom_kill 2\n")
        assert Group("x", layout, tmp_path).oom_kills() == 2


def test_only_an_exclusive_folder_is_cached_for_good(tmp_path: Path) -> None:
    assert "cache=always" in arguments(SharedFolder(tmp_path, Sharing.EXCLUSIVE), 5)
    shared = arguments(SharedFolder(tmp_path, Sharing.SHARED), 5)
    assert "cache=auto" in shared
    assert "--fd=5" in shared
    assert not [word for word in shared if "writeback" in word]
    with pytest.raises(ValueError, match="comma"):
        arguments(SharedFolder(Path("/a,source=/etc"), Sharing.SHARED), 5)


def test_a_missing_guest_kernel_is_an_error_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(GuestImageMissing, match=f"python -m images.guest --out {tmp_path}"):
        GuestImage.load(tmp_path / "guest")
    (tmp_path / "guest").mkdir()
    (tmp_path / "guest/manifest.json").write_text('{"format": 9}')
    with pytest.raises(GuestImageMissing, match="format 9"):
        GuestImage.load(tmp_path / "guest")


def test_links_of_a_hostile_image_lead_nowhere(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    (outside / "ssh").mkdir(parents=True)
    victim = outside / "ssh/ssh_host_rsa_key"
    victim.touch()
    root.mkdir()
    os.symlink(outside, root / "etc")
    remove_host_keys(root)
    assert victim.exists()
    (root / "etc").unlink()
    (root / "etc").mkdir()
    os.symlink(outside / "ssh", root / "etc/ssh")
    remove_host_keys(root)
    assert victim.exists()
    os.symlink(victim, root / "image.raw")
    assert not is_full_machine(root)


def test_the_keys_of_an_image_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "etc/ssh").mkdir(parents=True)
    for name in ("ssh_host_rsa_key", "ssh_host_rsa_key.pub", "sshd_config"):
        (tmp_path / "etc/ssh" / name).touch()
    remove_host_keys(tmp_path)
    assert [path.name for path in (tmp_path / "etc/ssh").iterdir()] == ["sshd_config"]
    assert not is_full_machine(tmp_path)
    (tmp_path / "image.raw").touch()
    assert is_full_machine(tmp_path)
