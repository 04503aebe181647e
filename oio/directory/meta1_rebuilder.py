"""Rebuild the bases that a lost meta1 volume held: each is copied from a peer that still has it."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping
from typing import Any

from oio.common.configuration import meta1_digits
from oio.common.exceptions import OioException, StatusMessageException
from oio.common.tool import Item, Outcome, Tool, ToolWorker
from oio.directory.admin import AdminClient
from oio.directory.meta import BASE_NOT_FOUND
from oio.directory.meta0 import Meta0Client, Meta0PrefixMapping
from oio.directory.meta2 import IS_MASTER


class Meta1Rebuilder(Tool):
    """Rebuilds all bases of the meta1 service `service_id`, items `(namespace, base)`."""

    def __init__(self, conf: Mapping[str, Any], service_id: str, **kwargs: Any) -> None:
        super().__init__(conf, **kwargs)
        self.service_id = service_id
        self.admin = AdminClient(conf, logger=self.logger)
        self.mapping = Meta0PrefixMapping(
            Meta0Client(conf, logger=self.logger), digits=meta1_digits(conf), logger=self.logger
        )

    @staticmethod
    def string_from_item(item: Item) -> str:
        """`<namespace>|<base>`."""
        return "|".join(item)

    def items(self) -> Iterator[Item]:
        """The bases that meta0 gives to the service."""
        self.mapping.load_meta0()
        for base in sorted(self.mapping.services_by_base):
            if self.service_id in self.mapping._get_peers_by_base(base):
                yield self.namespace, base

    def _fetch_items(self) -> Iterator[Item]:
        return self.items()

    def create_worker(
        self, queue_workers: queue.Queue[Item], queue_reply: queue.Queue[Outcome]
    ) -> Meta1RepairerWorker:
        """A worker that rebuilds one base after the other."""
        return Meta1RepairerWorker(self, queue_workers, queue_reply)

    def statuses(self, base: str) -> dict[str, int]:
        """Peer -> 200 when it has the base, 431 when not, else a network status."""
        where = {"service_type": "meta1", "cid": base.ljust(64, "0")}
        found = self.admin.has_base(**where)
        return {peer: int(answer["status"]["status"]) for peer, answer in found.items()}

    def missing(self, base: str) -> bool:
        """Whether the service lacks the base while another peer has it."""
        found = self.statuses(base)
        return found.get(self.service_id) != 200 and 200 in found.values()

    def rebuild(self, base: str) -> None:
        """Copy a base to the service if it lacks it; OioException when nobody could give it."""
        found = self.statuses(base)
        if found.get(self.service_id) == 200 or set(found.values()) == {BASE_NOT_FOUND}:
            # It is there, or it has never been founded.
            return
        where = {"service_type": "meta1", "cid": base.ljust(64, "0")}
        errors = []
        for source in sorted(peer for peer, status in found.items() if status == 200):
            try:
                self._copy(source, where)
            except OioException as error:
                errors.append(f"from {source}: {error}")
            else:
                return
        raise OioException(errors or ["no peer has it"])

    def _copy(self, source: str, where: dict[str, str]) -> None:
        try:
            self.admin.copy_base_from(svc_from=source, svc_to=self.service_id, **where)
        except StatusMessageException as error:
            if error.status != IS_MASTER:
                raise
            self.admin.election_leave(**where)
            self.admin.copy_base_from(svc_from=source, svc_to=self.service_id, **where)


class Meta1RepairerWorker(ToolWorker):
    """Rebuilds bases of one service."""

    def __init__(
        self, tool: Meta1Rebuilder, queue_workers: queue.Queue[Item], queue_reply: queue.Queue[Outcome]
    ) -> None:
        super().__init__(tool, queue_workers, queue_reply)
        self._rebuild = tool.rebuild

    def _process_item(self, item: Item) -> None:
        self._rebuild(item[1])
