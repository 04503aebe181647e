"""What a guest is told, and that no value of a tenant's becomes a command."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioners.protocol import GuestNic
from provisioners.system import command
from provisioners.zmachine import config_disk
from provisioners.zmachine.guest_config import GuestConfig, Mount
from provisioners.zmachine.zosinit import quoted, zosinit, zosrc

PRIVATE = GuestNic(
    tap="t-x",
    namespace=None,
    mac="02:AA:00:00:00:07",
    addresses=("10.20.2.7/24", "fd00::7/64"),
    routes=(("10.20.0.0/16", "10.20.2.1"),),
    gateway4="10.20.2.1",
    gateway6="fe80::1",
    mtu=1420,
)
PUBLIC = GuestNic(
    tap="p-x",
    namespace=None,
    mac="02:00:00:00:00:08",
    addresses=("185.206.122.5/32",),
    gateway4="185.206.122.1",
)
CONFIG = GuestConfig(
    id="7-1000-vm",
    hostname="vm",
    nics=(PRIVATE, PUBLIC),
    public=PUBLIC,
    mounts=(Mount("zm0", "/data"), Mount("vol", "/vol", share=True)),
    ssh_keys=("ssh-ed25519 AAAA me",),
    environment={"B": "2", "A": "it's"},
    command=("/sbin/zinit", "two words"),
)


def test_the_lines_stand_in_the_order_in_which_a_guest_needs_them() -> None:
    assert zosinit(CONFIG).splitlines() == [
        "zos_config 1",
        "zos_hostname 'vm' '10.20.2.7'",
        "zos_nic '02:aa:00:00:00:07' 1420",
        "zos_address '10.20.2.7/24'",
        "zos_address 'fd00::7/64'",
        "zos_route '10.20.0.0/16' '10.20.2.1'",
        "zos_route '::/0' 'fe80::1'",
        "zos_nic '02:00:00:00:00:08' 1500",
        "zos_address '185.206.122.5/32'",
        "zos_route '185.206.122.1'",  # not on the link by its own prefix
        "zos_route '0.0.0.0/0' '185.206.122.1'",
        "zos_resolver '8.8.8.8' '1.1.1.1' '2001:4860:4860::8888'",
        "zos_ssh_key 'ssh-ed25519 AAAA me'",
        "zos_disk 'zm0' '/data'",
        "zos_share 'vol' '/vol'",
    ]
    assert zosrc(CONFIG).splitlines() == [
        "export A='it'\"'\"'s'",
        "export B='2'",
        "set -- '/sbin/zinit' 'two words'",
    ]


def test_without_a_public_interface_the_private_one_leads_out() -> None:
    config = GuestConfig(id="x", hostname="x", nics=(PRIVATE,))
    assert config.default_gateways() == {PRIVATE: ("10.20.2.1", "fe80::1")}


# surrogates cannot be in a JSON text that was accepted; a NUL is refused with a message of its own
values = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


@settings(max_examples=60, deadline=None)
@given(value=values, argument=values)
def test_a_shell_reads_back_exactly_what_was_meant(value: str, argument: str) -> None:
    config = GuestConfig(id="x", hostname="x", nics=(), environment={"V": value}, command=("/x", argument))
    script = zosrc(config) + 'printf "%s\\0" "$V" "$@"; printf %s "$#"'
    shell = subprocess.run(["sh"], input=script.encode(), capture_output=True, timeout=20, check=True)
    assert shell.stdout == f"{value}\0/x\0{argument}\0".encode() + b"2"


def test_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quoted("a\0b")


async def test_the_disk_is_labelled_and_holds_the_files(tmp_path: Path) -> None:
    image = tmp_path / "config.img"
    await config_disk.write(CONFIG, image)
    for name, text in config_disk.files(CONFIG).items():
        assert await command.run("mtype", "-i", str(image), f"::/{name}") == text
    assert "CIDATA" in (await command.run("mlabel", "-s", "-i", str(image), "::")).upper()
    assert image.stat().st_size == config_disk.MIN_SIZE
    assert image.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["config.img"]


async def test_a_large_environment_gets_a_larger_disk(tmp_path: Path) -> None:
    image = tmp_path / "config.img"
    config = GuestConfig(id="x", hostname="x", nics=(), environment={"BIG": "x" * 3_000_000})
    await config_disk.write(config, image)
    assert len(await command.run("mtype", "-i", str(image), "::/zosrc")) > 3_000_000


def test_cloud_init_is_told_the_same() -> None:
    files = config_disk.files(CONFIG)
    assert all(
        files[name].startswith("#cloud-config\n") for name in ("meta-data", "network-config", "user-data")
    )
    assert yaml.safe_load(files["meta-data"]) == {"instance-id": "7-1000-vm", "local-hostname": "vm"}
    network = yaml.safe_load(files["network-config"])
    assert network["version"] == 2
    assert network["ethernets"]["eth1"]["gateway4"] == "185.206.122.1"
    assert "gateway4" not in network["ethernets"]["eth0"]
    assert yaml.safe_load(files["user-data"])["users"][0]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA me"]
