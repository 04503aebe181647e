"""Rebuild the bases that a lost meta2 volume held: each is copied from a peer that still has it."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oio.common.configuration import meta1_digits
from oio.common.exceptions import OioException, from_multi_responses
from oio.common.tool import Item, Outcome, Tool, ToolWorker
from oio.common.values import int_value
from oio.directory.linked_references import linked_references
from oio.directory.meta2 import Meta2Database
from oio.rdir.client import RdirClient

SYNCED = (200, 301)
"""Statuses of a slave that has the base, and of the master."""


class Meta2Rebuilder(Tool):
    """Rebuilds all sequences of containers, items `(namespace, cid)`.

    They come from `input_file` (one cid a line; empty lines and those that begin with `#` are skipped), or from the
    reverse index of the meta2 service `service_id`, or with `from_directory=True` from meta1, which needs no index.
    """

    DEFAULT_RDIR_FETCH_LIMIT = 100

    def __init__(
        self,
        conf: Mapping[str, Any],
        input_file: str | Path | None = None,
        service_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.from_directory = bool(kwargs.pop("from_directory", False))
        super().__init__(conf, **kwargs)
        self.input_file = input_file
        self.service_id = service_id
        self._page = {"limit": int(conf["rdir_fetch_limit"])} if conf.get("rdir_fetch_limit") else {}
        self.rdir_fetch_limit = int_value(conf.get("rdir_fetch_limit"), self.DEFAULT_RDIR_FETCH_LIMIT)
        self.rdir_client = RdirClient(self.conf, logger=self.logger)
        self.meta2_database = Meta2Database(self.conf, logger=self.logger)

    @staticmethod
    def string_from_item(item: Item) -> str:
        """`<namespace>|<cid>`."""
        return "|".join(item)

    def _fetch_items(self) -> Iterator[Item]:
        if self.input_file:
            return self._items_from_file(Path(self.input_file))
        if self.service_id and self.from_directory:
            return self._items_from_directory(self.service_id)
        if self.service_id:
            return self._items_from_index(self.service_id)
        return iter(())

    def _items_from_file(self, path: Path) -> Iterator[Item]:
        with path.open(encoding="utf-8") as file:
            for line in map(str.strip, file):
                if line and not line.startswith("#"):
                    yield self.namespace, line

    def _items_from_index(self, service_id: str) -> Iterator[Item]:
        for record in self.rdir_client.meta2_index_fetch_all(service_id, **self._page):
            yield self.namespace, record["container_id"]

    def _items_from_directory(self, service_id: str) -> Iterator[Item]:
        database = self.meta2_database
        digits = meta1_digits(self.conf)
        for cid in linked_references(database.directory, database.service_type, service_id, digits):
            yield self.namespace, cid

    def _get_report(self, status: str, end_time: float, counters: tuple[float, ...]) -> str:
        return self._report_line("references", status, end_time, counters)

    def create_worker(
        self, queue_workers: queue.Queue[Item], queue_reply: queue.Queue[Outcome]
    ) -> ContentRepairerWorker:
        """A worker that rebuilds the bases of one container after the other."""
        return ContentRepairerWorker(self, queue_workers, queue_reply)


class ContentRepairerWorker(ToolWorker):
    """Rebuilds every sequence of a container, then lets its slaves catch up."""

    def __init__(
        self, tool: Meta2Rebuilder, queue_workers: queue.Queue[Item], queue_reply: queue.Queue[Outcome]
    ) -> None:
        super().__init__(tool, queue_workers, queue_reply)
        self.meta2_database = tool.meta2_database
        self.admin_client = tool.meta2_database.admin

    def _process_item(self, item: Item) -> None:
        namespace, cid = item
        if namespace != self.tool.namespace:
            raise ValueError(f"Invalid namespace (actual={namespace}, expected={self.tool.namespace})")
        results = list(self.meta2_database.rebuild(cid))
        failed = [result for result in results if result["err"] is not None]
        if len(failed) == 1 and failed[0]["base"] == cid:
            # Nothing is known of this container: its own error says all.
            raise failed[0]["err"]
        if failed:
            raise OioException([f"{result['base']}: {result['err']}" for result in failed])
        where = {"service_type": self.meta2_database.service_type, "cid": cid}
        from_multi_responses(self.admin_client.election_sync(**where), excepted_status=SYNCED)
