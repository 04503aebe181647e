"""What the stages read from the machine, as text and files."""

from __future__ import annotations

import json
import sqlite3
import struct
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from images.boot import seed_files, stage_file
from images.boot.bip39 import entropy, words
from images.boot.cache import why_not_writable
from images.boot.configure import bus, daemon, public_link
from images.boot.console import daemon_facts, ids, image_text, workloads
from images.boot.given import has_label
from images.boot.identity import Choice, Verdict, choose
from images.boot.network import look, option_text, parse_lease
from images.boot.pid1 import power_pressed
from images.boot.seed import encode
from images.boot.settings import BootSettings, load_modes
from images.boot.stage_file import StageReport
from images.boot.storage import boot_medium, disk_names, write_key
from rmb.peer.config import PeerConfig
from rmb.settings import load
from zosd import config as zosd_config
from zosd.chainlife.notes import IDS
from zosd.journal.schema import prepare

SEED = bytes(range(32))


def test_words_become_their_entropy() -> None:
    # Test vectors of BIP-39's reference implementation.
    assert entropy("abandon " * 11 + "about") == bytes(16)
    assert entropy("zoo " * 23 + "vote") == b"\xff" * 32
    assert len(words()) == 2048
    for wrong in ("", "abandon " * 12, "abandon " * 11 + "nonsense"):
        with pytest.raises(ValueError, match="words"):
            entropy(wrong)


def test_the_label_is_found_in_fat_boot_sectors_of_every_size() -> None:
    def sector(at: int) -> bytes:
        raw = bytearray(512)
        raw[at : at + 11] = b"NODECFG    "
        struct.pack_into("<H", raw, 510, 0xAA55)
        return bytes(raw)

    assert has_label(sector(43))
    assert has_label(sector(71))
    assert not has_label(sector(100))
    assert not has_label(sector(43)[:510] + b"xx")
    assert not has_label(b"")


def test_a_lease_is_read_and_rubbish_is_none() -> None:
    lease = parse_lease(
        "ip=10.0.2.15\nmask=24\nrouter=10.0.2.2 10.0.2.3\ndns=10.0.2.3 x\nopt224=6661726d65725f69643d37\n"
    )
    assert lease is not None
    assert (str(lease.address), str(lease.router), lease.resolvers) == (
        "10.0.2.15/24",
        "10.0.2.2",
        ("10.0.2.3",),
    )
    assert lease.option == "farmer_id=7"
    for text in ("", "ip=nonsense\n", "mask=24\n", "ip=10.0.0.1\nmask=99\n"):
        assert parse_lease(text) is None
    assert option_text("zz") == ""
    assert option_text("ff") == ""


def test_links_are_read_from_sysfs(tmp_path: Path) -> None:
    for name, device in (("lo", False), ("eth0", True), ("veth1", False)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "address").write_text("52:54:00:00:00:01\n")
        (tmp_path / name / "carrier").write_text("1\n")
        if device:
            (tmp_path / name / "device").mkdir()
    assert [(nic.name, nic.physical, nic.carrier) for nic in look(tmp_path)] == [
        ("eth0", True, True),
        ("veth1", False, True),
    ]


def test_disks_are_read_from_sysfs(tmp_path: Path) -> None:
    for name, size in (("vda", 8), ("loop0", 8), ("vdb", 0), ("sr0", 8)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "size").write_text(f"{size}\n")
    assert disk_names(tmp_path) == ["vda"]


def test_the_medium_is_known_by_how_the_image_was_found(tmp_path: Path) -> None:
    (tmp_path / "how").write_text("disk vdz\n")
    assert boot_medium(tmp_path / "how") == "vdz"
    assert boot_medium(tmp_path / "nothing") == ""


def test_seed_files_are_written_whole_kept_and_renamed_aside(tmp_path: Path) -> None:
    places = {name: tmp_path / name / "seed.txt" for name in ("cache", "one", "two")}
    places["two"].parent.mkdir()
    places["two"].write_bytes(b"garbage")
    places["one"].parent.mkdir()
    places["one"].write_bytes(encode(SEED))
    choice = choose(seed_files.read_all(places), entropy)
    assert choice.verdict is Verdict.USE
    assert seed_files.apply(choice, SEED, places) == []
    for file in places.values():
        assert file.read_bytes() == encode(SEED)
    assert places["cache"].stat().st_mode & 0o777 == 0o400
    assert (tmp_path / "two/seed.txt.unreadable-1").read_bytes() == b"garbage"
    again = choose(seed_files.read_all(places), entropy)
    assert (again.restore, again.set_aside) == ((), ())


def test_a_copy_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    choice = Choice(Verdict.NEW, restore=("pool",))
    (said,) = seed_files.apply(choice, SEED, {"pool": tmp_path / "file/seed.txt"})
    assert "pool" in said


def test_the_key_for_the_daemon_is_root_s_alone(tmp_path: Path) -> None:
    file = tmp_path / "node.key"
    write_key(file, SEED)
    write_key(file, SEED)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == SEED.hex()


def test_the_written_configurations_are_read_by_daemon_and_bus(tmp_path: Path) -> None:
    settings = BootSettings(farm=7, mode="dev", services=load_modes()["dev"])
    (tmp_path / "zosd.toml").write_text(daemon(settings, "eth1", ["/dev/vda"]))
    (tmp_path / "peer.toml").write_text(bus(settings))
    read = zosd_config.load(tmp_path / "zosd.toml")
    assert (read.node.farm, read.network.uplink, [str(disk) for disk in read.storage.disks]) == (
        7,
        "eth1",
        ["/dev/vda"],
    )
    assert load(PeerConfig, tmp_path / "peer.toml", {}).relays.urls == ("wss://relay.dev.grid.tf",)
    assert read.machine.gpus
    assert read.network.public_nic == ""
    special = replace(settings, disable_gpu=True, image_hosts=("10.0.2.2",))
    (tmp_path / "zosd.toml").write_text(daemon(special, "eth0.302", [], "eth0.5"))
    read = zosd_config.load(tmp_path / "zosd.toml")
    assert (read.machine.gpus, read.images.allow_hosts) == (False, ("10.0.2.2",))
    assert (read.network.uplink, read.network.public_nic) == ("eth0.302", "eth0.5")
    empty = tomllib.loads(daemon(BootSettings(mode=""), "eth0", []))
    assert empty["chain"]["urls"] == []


def test_a_tag_for_the_public_side_needs_a_node_with_one_card() -> None:
    both = BootSettings(vlan_private=302, vlan_public=5)
    assert public_link(both, "eth0.302", 1) == ("eth0.5", "")
    assert public_link(replace(both, vlan_private=None), "eth0", 1) == ("eth0.5", "")
    assert public_link(replace(both, vlan_public=302), "eth0.302", 1) == ("", "")
    assert public_link(BootSettings(), "eth0", 2) == ("", "")
    link, problem = public_link(both, "eth0.302", 2)
    assert link == ""
    assert "vlan:pub=5 is ignored" in problem


def test_the_image_s_line_says_why_an_offered_one_does_not_run() -> None:
    assert image_text({}, {}) == ""
    assert image_text({"text": "slot A, good"}, {"text": ""}) == "slot A, good"
    assert image_text({"text": "slot A, good"}, {"text": "9 is offered"}) == "slot A, good; 9 is offered"


def test_what_the_daemon_says_of_its_registration() -> None:
    def line(**event: object) -> str:
        return f"[-] zosd: {json.dumps(event)}"

    failed = line(event="registration failed, tried again", why="farm 9 does not exist")
    trouble = daemon_facts(["rubbish", "[-] zosd: 3", failed], {})
    assert trouble == {"trouble": "registration: farm 9 does not exist"}
    done = daemon_facts([failed, line(event="registered", node=3, twin=9, farm_name="a\x1b[2J")], trouble)
    assert done == {"node": 3, "twin": 9, "farm_name": "a[2J"}
    assert daemon_facts([], done) == done


def test_ids_and_workloads_are_read_from_the_daemon_s_journal(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    assert (ids(file), workloads(file)) == ((0, 0), None)
    link = sqlite3.connect(file)
    prepare(link, str(file))
    assert (ids(file), workloads(file)) == ((0, 0), 0)
    with link:
        link.execute("INSERT INTO note VALUES (?, ?)", (IDS, json.dumps([7, 9, "00"]).encode()))
    link.close()
    assert ids(file) == (7, 9)
    file.write_bytes(b"rubbish")
    assert (ids(file), workloads(file)) == ((0, 0), None)


def test_a_stage_tells_once_and_keeps_its_age(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = StageReport("network", tmp_path)
    report.tell("working", "asking")
    first = stage_file.read("stage-network", tmp_path)
    report.tell("working", "asking", "no cable")
    second = stage_file.read("stage-network", tmp_path)
    report.tell("working", "asking", "no cable")
    assert second["since"] == first["since"]
    assert second["error"] == "no cable"
    assert capsys.readouterr().out.splitlines() == ["asking", "asking: no cable"]
    assert stage_file.read("stage-other", tmp_path) == {}


def test_the_power_key_is_heard() -> None:
    event = struct.Struct("llHHi")
    assert power_pressed(event.pack(1, 2, 1, 116, 1) + event.pack(1, 2, 0, 0, 0))
    assert not power_pressed(event.pack(1, 2, 1, 116, 0))
    assert not power_pressed(event.pack(1, 2, 1, 30, 1) + b"x")


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    assert why_not_writable(tmp_path) == ""
    assert why_not_writable(tmp_path) == ""
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone").rmdir()
    assert "replace the disk" in why_not_writable(tmp_path / "gone")
