"""Stage `configure`: write what daemon and bus read, from everything that the stages before found."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from images.boot import given, stage_file
from images.boot.settings import BootSettings

RUN = Path("/run/zos")
STATE = Path("/var/cache/zos")
GUEST = Path("/usr/lib/zos/guest")


def main() -> None:
    """Write both files, for root alone."""
    settings = given.settings()
    link = str(stage_file.read("uplink").get("link", "eth0"))
    disks = [str(path) for path in stage_file.read("disks").get("taken", [])]
    for folder, mode in ((STATE, 0o711), (STATE / "redis", 0o700), (RUN, 0o711)):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
    write_private(RUN / "zosd.toml", daemon(settings, link, disks))
    write_private(RUN / "rmb-peer.toml", bus(settings))
    print(
        f"uplink {link}, {len(disks)} disks, {len(settings.services.substrate)} chain endpoints", flush=True
    )


def daemon(settings: BootSettings, link: str, disks: Sequence[str]) -> str:
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
            "network": {"uplink": link, "yggdrasil_peers": list(settings.overlay_peers)},
            "storage": {"disks": list(disks)},
            "machine": {"kernel": str(GUEST / "vmlinuz"), "initrd": str(GUEST / "initrd")},
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
