"""What a zmount's owner file holds."""

from __future__ import annotations

from dataclasses import dataclass

from provisioners.protocol import OwnerFile


@dataclass(frozen=True, slots=True)
class DiskRecord:
    pool: str
    """Name of the pool that the disk lies on, or is about to be made on."""
    size: int
    """Bytes."""
    complete: bool
    """The disk was made; if it is missing now, data are missing."""

    @classmethod
    def read(cls, owner: OwnerFile) -> DiskRecord | None:
        """Raises ValueError when the file is none of ours."""
        record = owner.read()
        if record is None:
            return None
        try:
            return cls(str(record["pool"]), int(record["size"]), bool(record["complete"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"owner file {owner.path} is not that of a disk: {error}") from error

    def write(self, owner: OwnerFile) -> None:
        owner.write({"pool": self.pool, "size": self.size, "complete": self.complete})
