"""Where the parts of one machine lie on the host.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gridtypes import WorkloadId
from provisioners.protocol import NodePaths
from provisioners.system.console_log import ConsoleLog
from provisioners.system.qemu_arguments import CONSOLE_SOCKET, QMP_SOCKET

SOCKET_PATH_LIMIT = 107
"""Bytes; the kernel's limit for the path of a unix socket."""


@dataclass(frozen=True, slots=True)
class Place:
    """The folders and files of one machine.

    <run>/vm/<unique>/         ours alone
        qemu.mark, fs0.mark    who runs (`process.Launch.mark`)
        config.img             configuration disk
        q/                     QEMU's own folder: it owns it, works in it, and knows no other path
            qmp.sock, console.sock, fs0.sock
    <log>/vm/<id>.log          serial console, then QEMU's own messages
    """

    folder: Path
    log: ConsoleLog
    share_log: Path

    @classmethod
    def of(cls, paths: NodePaths, id: WorkloadId) -> Place:
        """Raises ValueError when the node's run folder is too long for sockets."""
        place = cls(
            paths.run / "vm" / id.unique("vm"),
            ConsoleLog(paths.log / "vm" / f"{id}.log"),
            paths.log / "vm" / f"{id}.virtiofsd.log",
        )
        if len(bytes(place.console)) > SOCKET_PATH_LIMIT:
            raise ValueError(
                f"{place.console} is longer than {SOCKET_PATH_LIMIT} bytes: use a shorter run folder"
            )
        return place

    @property
    def own_folder(self) -> Path:
        return self.folder / "q"

    @property
    def config_disk(self) -> Path:
        return self.folder / "config.img"

    @property
    def qmp(self) -> Path:
        return self.own_folder / QMP_SOCKET

    @property
    def console(self) -> Path:
        return self.own_folder / CONSOLE_SOCKET

    @property
    def qemu_mark(self) -> Path:
        return self.folder / "qemu.mark"

    def share_mark(self, number: int) -> Path:
        return self.folder / f"fs{number}.mark"

    def share_socket(self, number: int) -> Path:
        return self.own_folder / share_socket(number)


def share_socket(number: int) -> str:
    """Name of a share's socket, as QEMU sees it from its own folder."""
    return f"fs{number}.sock"
