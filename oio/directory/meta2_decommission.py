"""Empty a meta2 service: every base that the reverse index gives to it is moved to another one."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping
from typing import Any, Final

from oio.common.configuration import meta1_digits
from oio.common.exceptions import OioException
from oio.common.tool import Item, Outcome, Tool, ToolWorker
from oio.directory.linked_references import linked_references
from oio.directory.meta2 import Meta2Database
from oio.rdir.client import RdirClient

ATTEMPTS: Final = 3
"""Times that a request is sent: masters may change while many bases move at once."""


class Meta2Decommission(Tool):
    """Moves all bases away from `service_id`, items `(namespace, cid)`, to services that the load balancer chooses.

    With `from_directory` meta1 is asked instead of the reverse index. What was moved is in neither any more, so that
    another run goes on where one was interrupted.
    """

    def __init__(
        self, conf: Mapping[str, Any], service_id: str, from_directory: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(conf, **kwargs)
        self.service_id = service_id
        self.from_directory = from_directory
        self.rdir_client = RdirClient(conf, logger=self.logger)
        self.meta2_database = Meta2Database(conf, logger=self.logger)

    @staticmethod
    def string_from_item(item: Item) -> str:
        """`<namespace>|<cid>`."""
        return "|".join(item)

    def items(self) -> Iterator[Item]:
        """The containers of the service."""
        if self.from_directory:
            database, digits = self.meta2_database, meta1_digits(self.conf)
            for cid in linked_references(database.directory, database.service_type, self.service_id, digits):
                yield self.namespace, cid
            return
        for record in self.rdir_client.meta2_index_fetch_all(self.service_id):
            yield self.namespace, record["container_id"]

    def _fetch_items(self) -> Iterator[Item]:
        # All pages first: what is moved meanwhile would shift them.
        found = list(self.items())
        self.total_expected_items = len(found)
        return iter(found)

    def create_worker(
        self, queue_workers: queue.Queue[Item], queue_reply: queue.Queue[Outcome]
    ) -> MovingWorker:
        """A worker that moves the bases of one container after the other."""
        return MovingWorker(self, queue_workers, queue_reply)


class MovingWorker(ToolWorker):
    """Moves every sequence of a container away from one service."""

    def __init__(
        self, tool: Meta2Decommission, queue_workers: queue.Queue[Item], queue_reply: queue.Queue[Outcome]
    ) -> None:
        super().__init__(tool, queue_workers, queue_reply)
        self.meta2_database = tool.meta2_database
        self.source = tool.service_id

    def _process_item(self, item: Item) -> str:
        results = list(self.meta2_database.move(item[1], self.source, request_attempts=ATTEMPTS))
        errors = [f"{result['base']}: {result['err']}" for result in results if result["err"] is not None]
        if errors:
            raise OioException(errors)
        return ",".join(str(result["dst"]) for result in results)
