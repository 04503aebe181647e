"""Whether the directory, a base and the volumes agree on who has it, and making them agree.

What the directory says is right: it is what clients follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from oio.common.exceptions import NotFound, OioException, PreconditionFailed
from oio.conscience.client import ConscienceClient
from oio.directory.admin import AdminClient
from oio.directory.client import DirectoryClient
from oio.directory.prefixes import cid_and_seq


@dataclass(frozen=True, slots=True)
class Holders:
    """Who has a base: by the directory, by `sys.peers` of the base, by the files."""

    linked: frozenset[str]
    named: frozenset[str]
    holding: frozenset[str]

    def wrong(self) -> dict[str, list[str]]:
        """Peer -> what is not as it should be; an empty list when nothing is."""
        places = (
            ("not in the directory", self.linked),
            ("not in sys.peers", self.named),
            ("no file", self.holding),
        )
        return {
            peer: [text for text, peers in places if peer not in peers]
            for peer in sorted(self.linked | self.named | self.holding)
        }

    @property
    def agree(self) -> bool:
        """Whether all three name the same."""
        return self.linked == self.named == self.holding


class Agreement:
    """Compares and repairs bases of `service_type`."""

    def __init__(
        self, service_type: str, admin: AdminClient, conscience: ConscienceClient, directory: DirectoryClient
    ) -> None:
        self.service_type = service_type
        self.admin = admin
        self.conscience = conscience
        self.directory = directory

    def holders(self, cid: str, linked: Iterable[str], **kwargs: Any) -> Holders:
        """Who has the base of a container id that the directory gives to `linked`. Raises OioException."""
        where: dict[str, Any] = {"service_type": self.service_type, "cid": cid, **kwargs}
        text = self.admin.get_properties(**where)["system"].get("sys.peers", "")
        named, told = frozenset(filter(None, text.split(","))), frozenset(linked)
        services = {one["id"] for one in self.conscience.all_services(self.service_type, **kwargs)}
        asked = self.admin.has_base(service_id=sorted(services | named | told), **where)
        holding = frozenset(peer for peer, answer in asked.items() if answer["status"]["status"] == 200)
        return Holders(told, named, holding)

    def fix(self, cid: str, found: Holders, **kwargs: Any) -> Holders:
        """Give the base the peers that the directory names, copy what is missing, delete what is too many.

        Who has it then. PreconditionFailed, and nothing deleted, while fewer than a majority have it.
        """
        where: dict[str, Any] = {"service_type": self.service_type, "cid": cid, **kwargs}
        if found.named != found.linked:
            self.admin.set_peers(peers=sorted(found.linked), **where)
        for peer in sorted(found.linked - found.holding):
            self._copy(sorted(found.holding, key=lambda one: (one not in found.linked, one)), peer, where)
        now = self.holders(cid, found.linked, **kwargs)
        if len(now.holding & now.linked) <= len(now.linked) // 2:
            raise PreconditionFailed(
                f"only {sorted(now.holding & now.linked)} of {sorted(now.linked)} have {cid}"
            )
        surplus = sorted(now.holding - now.linked)
        if surplus:
            self.admin.remove_base(service_id=surplus, **where)
        return self.holders(cid, found.linked, **kwargs)

    def _copy(self, sources: Sequence[str], target: str, where: dict[str, Any]) -> None:
        errors = []
        for source in sources:
            try:
                self.admin.copy_base_from(svc_from=source, svc_to=target, **where)
            except OioException as error:
                errors.append(f"from {source}: {error}")
            else:
                return
        raise OioException(errors or [f"nobody has a copy for {target}"])

    def orphans(self, service: str, **kwargs: Any) -> Iterator[str]:
        """Names of the bases on a service's volume that the directory does not give to it, nor the base itself.

        A base that is just being moved to the service is none: its other peers name the service.
        """
        for name in self.admin.service_list_bases(service, **kwargs):
            found = cid_and_seq(name)
            if found is None:
                yield name
                continue
            cid, seq = found
            try:
                rows = self.directory.list(service_type=self.service_type, cid=cid, **kwargs)["srv"]
            except NotFound:
                rows = []
            hosts = [row["host"] for row in rows if row["seq"] == seq]
            if service in hosts:
                continue
            if hosts and service in self.holders(cid, hosts, **kwargs).named:
                continue
            yield name
