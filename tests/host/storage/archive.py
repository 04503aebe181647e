"""Archives for tests, friendly and hostile ones."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any


class ArchiveWriter:
    """Writes members exactly as told, also such as no tar program would write."""

    def __init__(self, path: Path, format: int = tarfile.PAX_FORMAT) -> None:
        self.path = path
        self._tar = tarfile.open(path, "w", format=format)  # noqa: SIM115  # closed by `close`

    def add(self, name: str, content: bytes = b"", **fields: Any) -> ArchiveWriter:
        """`fields` are attributes of TarInfo, such as `type`, `mode`, `uid`, `linkname`, `pax_headers`."""
        member = tarfile.TarInfo(name)
        member.mode = 0o644
        member.size = len(content)
        for field, value in fields.items():
            setattr(member, field, value)
        self._tar.addfile(member, io.BytesIO(content))
        return self

    def folder(self, name: str, **fields: Any) -> ArchiveWriter:
        return self.add(name, type=tarfile.DIRTYPE, **({"mode": 0o755} | fields))

    def symlink(self, name: str, target: str, **fields: Any) -> ArchiveWriter:
        return self.add(name, type=tarfile.SYMTYPE, linkname=target, **fields)

    def hardlink(self, name: str, target: str) -> ArchiveWriter:
        return self.add(name, type=tarfile.LNKTYPE, linkname=target)

    def close(self) -> Path:
        self._tar.close()
        return self.path
