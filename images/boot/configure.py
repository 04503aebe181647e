"""Stage `configure`: write what daemon and bus read, from everything that the stages before found."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from images.boot import given, remote_config, stage_file
from images.boot.network import NET, look, tagged
from images.boot.settings import BootSettings
from images.boot.slot_store import SlotStore
from images.boot.sources import Source
from images.manifest import ManifestError

RUN = Path("/run/zos")
STATE = Path("/var/cache/zos")
GUEST = Path("/usr/lib/zos/guest")
KVM = Path("/dev/kvm")
NO_VIRTUALISATION = "virtualisation is off, machines run slowly: switch VT-x, AMD-V or SVM on in the firmware"


def main() -> None:
    """Write both files, for root alone."""
    settings = given.settings()
    problems = []
    if settings.remote:
        settings, problem = with_remote(settings.remote)
        problems += [problem] if problem else []
    link = str(stage_file.read("uplink").get("link", "eth0"))
    public, problem = public_link(settings, link, physical_cards())
    problems += [problem] if problem else []
    if public:
        ensure_vlan(card_of(link), public, settings.vlan_public)
    disks = [str(path) for path in stage_file.read("disks").get("taken", [])]
    for folder, mode in ((STATE, 0o711), (STATE / "redis", 0o700), (RUN, 0o711)):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
    write_private(RUN / "zosd.toml", daemon(settings, link, disks, public))
    write_private(RUN / "rmb-peer.toml", bus(settings))
    notes = [f"public side: {public}"] if public else []
    notes += ["graphics cards are not offered"] if settings.disable_gpu else []
    problems += [NO_VIRTUALISATION] if not KVM.exists() else []
    stage_file.write("configure", {"problems": problems, "notes": notes})
    for problem in problems:
        print(problem, flush=True)
    print(
        f"uplink {link}, {len(disks)} disks, {len(settings.services.substrate)} chain endpoints", flush=True
    )


def with_remote(url: str) -> tuple[BootSettings, str]:
    """The settings with what the remote configuration adds, and what is wrong with it."""
    try:
        found, problem = remote_config.current(url, SlotStore().trusted(), remote_config.download)
    except ManifestError as trouble:
        found, problem = None, str(trouble)
    if found is not None:
        given.keep({**given.kept(), Source.REMOTE: found.words()})
    return given.settings(), problem


def physical_cards() -> int:
    """How many real network cards the machine has."""
    return sum(nic.physical for nic in look())


def card_of(link: str) -> str:
    """The card below a link that may be a VLAN on it."""
    return link.partition(".")[0]


def public_link(settings: BootSettings, link: str, cards: int) -> tuple[str, str]:
    """(link of the public side, "" when it shares the private one's; what is wrong).

    A VLAN for the public side makes sense on a node with one card alone.
    """
    wanted = settings.vlan_public
    if wanted is None or wanted == settings.vlan_private:
        return "", ""
    if cards != 1:
        return (
            "",
            f"vlan:pub={wanted} is ignored: it is for nodes with one network card, this one has {cards}",
        )
    return tagged(card_of(link), wanted), ""


def ensure_vlan(card: str, link: str, vlan: int | None) -> None:
    """Have the VLAN's link on the card, switched on."""
    if not (NET / link).exists():
        _ip("link", "add", "link", card, "name", link, "type", "vlan", "id", str(vlan))
    _ip("link", "set", link, "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, timeout=30, check=False)


def daemon(settings: BootSettings, link: str, disks: Sequence[str], public: str = "") -> str:
    """`zosd`'s configuration."""
    services = settings.services
    return toml(
        {
            "node": {"key": str(RUN / "node.key"), "farm": settings.farm},
            "paths": {
                "state": str(STATE / "state"),
                "cache": str(STATE / "cache"),
                "run": str(RUN),
                "log": str(STATE / "log"),
            },
            "bus": {"redis": f"unix://{RUN / 'redis.sock'}"},
            "chain": {
                "urls": list(services.substrate),
                "activation": services.activation[0] if services.activation else "",
            },
            "network": {
                "uplink": link,
                "public_nic": public,
                "yggdrasil_peers": list(settings.overlay_peers),
            },
            "images": {"allow_hosts": list(settings.image_hosts)},
            "storage": {"disks": list(disks)},
            "machine": {
                "gpus": not settings.disable_gpu,
                "kernel": str(GUEST / "vmlinuz"),
                "initrd": str(GUEST / "initrd"),
            },
            "log": {"level": "debug" if settings.debug else "info", "json_lines": True},
        }
    )


def bus(settings: BootSettings) -> str:
    """`rmb-peer`'s configuration."""
    services = settings.services
    return toml(
        {
            "redis": {"url": f"unix://{RUN / 'redis.sock'}"},
            "identity": {"key_file": str(RUN / "node.key")},
            "chain": {"urls": list(services.substrate)},
            "listen": {"overlay": True, "namespace": "ndmz"},
            "relays": {"urls": list(services.relay)},
        }
    )


def toml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """TOML of sections whose values are texts, numbers, truth values and lists of texts.

    JSON writes all of these as TOML reads them.
    """
    lines = []
    for name, table in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
        lines.append("")
    return "\n".join(lines)


def write_private(path: Path, text: str) -> None:
    """Replace a file for root's eyes."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)


if __name__ == "__main__":
    main()
