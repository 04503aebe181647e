"""How programs ask for files to be moved and deleted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dynamo.core import executable
from dynamo.core.registry.access import Registry
from dynamo.dataformat import BlockReplica, File, Site

AT_ONCE = 10_000
"""How many files go into one note."""


class RLFSM:
    """Subscriptions of files.  They are made when the program has ended well, with its changes of the inventory."""

    def __init__(self, registry: Registry | None = None) -> None:
        """`registry` is by default that of the program that runs."""
        self._registry = executable.registry if registry is None else registry

    def subscribe_file(self, site: Site, file: File) -> None:
        """Have a file come to a site."""
        self.subscribe_files(site, [file])

    def desubscribe_file(self, site: Site, file: File) -> None:
        """Have a file leave a site."""
        self.desubscribe_files(site, [file])

    def subscribe_files(self, site: Site, files: Iterable[File]) -> None:
        """Have files come to a site."""
        self._note("files.subscribe", site, files)

    def desubscribe_files(self, site: Site, files: Iterable[File]) -> None:
        """Have files leave a site."""
        self._note("files.desubscribe", site, files)

    def complete_replica(self, replica: BlockReplica) -> int:
        """Have all files come that a block replica lacks; how many that are."""
        missing = [file for file in replica.block.files if not replica.has_file(file)]
        self.subscribe_files(replica.site, missing)
        return len(missing)

    def empty_replica(self, replica: BlockReplica) -> int:
        """Have all files of a block leave the replica's site; how many that are."""
        files = list(replica.block.files)
        self.desubscribe_files(replica.site, files)
        return len(files)

    def get_subscriptions(self, site: Site | None = None) -> Sequence[dict[str, Any]]:
        """What is open now."""
        found: Sequence[dict[str, Any]] = self._registry.ask(
            "files.current", site=None if site is None else site.name
        )
        return found

    def _note(self, name: str, site: Site, files: Iterable[File]) -> None:
        rows = []
        for file in sorted(files, key=lambda file: file.lfn):
            assert file.block is not None, "a file of a block"
            rows.append((file.lfn, file.block.full_name(), file.size))
        for begin in range(0, len(rows), AT_ONCE):
            self._registry.note(name, site=site.name, files=rows[begin : begin + AT_ONCE])
