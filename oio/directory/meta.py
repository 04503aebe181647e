"""What mappings of bases to services have in common: the services, and carrying out what was planned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from oio.common.exceptions import NotFound, OioException, ServiceBusy, from_multi_responses
from oio.common.logger import get_logger
from oio.conscience.client import ConscienceClient
from oio.directory.admin import AdminClient
from oio.directory.prefixes import cid_and_seq
from oio.rdir.client import RdirClient

OK: Final = 200
BASE_NOT_FOUND: Final = 431
Service = dict[str, Any]
"""A service as the conscience lists it, with `location`, `upper_limit` and `bases`, the set of names it holds."""


def service_key(service: Mapping[str, Any]) -> str:
    """How a service is named as a peer: its stable name, or its address."""
    return str(service.get("tags", {}).get("tag.service_id") or service["addr"])


class MetaMapping(ABC):
    """Which services hold which bases. `services_by_base` is what is wanted, `raw_services_by_base` what was loaded."""

    def __init__(
        self,
        conf: Mapping[str, Any],
        service_types: Iterable[str],
        admin_client: AdminClient | None = None,
        conscience_client: ConscienceClient | None = None,
        logger: Any = None,
        rdir_client: RdirClient | None = None,
        **kwargs: Any,
    ) -> None:
        self.conf = conf
        self.service_types = list(service_types)
        self.logger = logger or get_logger(dict(conf))
        self._admin = admin_client
        self._conscience = conscience_client
        self._rdir = rdir_client
        self._kwargs = kwargs
        self.services_by_service_type: dict[str, dict[str, Service]] = {}
        self.services_by_base: dict[str, list[Service]] = {}
        self.raw_services_by_base: dict[str, list[Service]] = {}
        self._placed: set[str] = set()
        self.reset()

    @property
    def admin(self) -> AdminClient:
        """Client of elections and bases."""
        if self._admin is None:
            self._admin = AdminClient(self.conf, logger=self.logger, **self._kwargs)
        return self._admin

    @property
    def conscience(self) -> ConscienceClient:
        """Client of the conscience."""
        if self._conscience is None:
            self._conscience = ConscienceClient(self.conf, logger=self.logger, **self._kwargs)
        return self._conscience

    @property
    def rdir(self) -> RdirClient:
        """Client of the reverse index."""
        if self._rdir is None:
            self._rdir = RdirClient(self.conf, logger=self.logger, **self._kwargs)
        return self._rdir

    def reset(self) -> None:
        """Forget what is assigned and load the services anew."""
        self.services_by_base = {}
        self.raw_services_by_base = {}
        self._placed = set()
        for type_ in self.service_types:
            found = {}
            for service in self.conscience.all_services(type_):
                service["location"] = self.location_of(service)
                service["upper_limit"] = 0
                service["bases"] = set()
                found[service_key(service)] = service
            self.services_by_service_type[type_] = found

    @staticmethod
    def location_of(service: Mapping[str, Any]) -> str:
        """Where a service stands; its address without the port when it does not say."""
        return str(service.get("tags", {}).get("tag.loc") or service["addr"].rsplit(":", 1)[0])

    @staticmethod
    def get_cid_and_seq(base: str) -> tuple[str, int | None]:
        """Container id, padded with zeros, and sequence of a base, None when it has none. ValueError."""
        found = cid_and_seq(base)
        if found is None:
            raise ValueError(f"Bad format for the base name: {base}")
        return found

    @abstractmethod
    def _get_old_peers_by_base(self, base: str) -> Sequence[str]:
        """Who held the base when the mapping was loaded."""

    @abstractmethod
    def _get_peers_by_base(self, base: str) -> Sequence[str]:
        """Who is to hold the base."""

    @abstractmethod
    def _get_service_type_by_base(self, base: str) -> str:
        """The service type of a base."""

    @abstractmethod
    def _apply_link_services(self, moved: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Write the new peers of these bases, or of all, into the directory."""

    # -- carrying out

    def apply(self, moved: Iterable[str] | None = None, **kwargs: Any) -> list[str]:
        """Copy bases to their new peers, write these into the directory, and take the files from the old ones.

        The bases that went all the way. One that could not be copied keeps its old peers. Raises the error of the
        directory when it could not be written; the old peers are restored then. May be called again after an
        interruption: every step is one that can be repeated.
        """
        wanted = list(moved or ())
        copied = [base for base in wanted or list(self.services_by_base) if self.copy_base(base, **kwargs)]
        if not copied:
            return []
        try:
            self._apply_link_services(copied, **kwargs)
        except OioException:
            self.logger.error(
                "The directory could not be written: %d bases keep their old peers", len(copied)
            )
            for base in copied:
                self._restore_peers(base, **kwargs)
            raise
        done = []
        for base in copied:
            placed = self.place_late(base, **kwargs)
            if placed:
                self.reset_election(base, **kwargs)
            if placed is not False:
                done.append(base)
        return done

    def place_late(self, base: str, **kwargs: Any) -> bool | None:
        """Once the directory names the new peers, give them a base that somebody founded at the old ones meanwhile.

        None when it has not been founded at all, False when it could not be copied.
        """
        if base in self._placed:
            return True
        try:
            if not self.is_founded(base, **kwargs):
                return None
            stored = self.admin.get_properties(**self._base(base), **kwargs)["system"]["sys.peers"]
            agreed = set(stored.split(",")) == set(self._get_peers_by_base(base))
            return agreed or self.copy_base(base, **kwargs)
        except OioException as error:
            self.logger.warning("Base %s could not be given its new peers: %s", base, error)
            return False

    def copy_base(self, base: str, **kwargs: Any) -> bool:
        """Tell the base who its peers will be, and copy it to the new ones; False when that failed."""
        where = self._base(base)
        old, new = self._get_old_peers_by_base(base), self._get_peers_by_base(base)
        joining = [peer for peer in new if peer not in old]
        self._placed.discard(base)
        try:
            self.admin.set_peers(peers=new, **where, **kwargs)
        except ServiceBusy as error:
            self.logger.warning("Peers of base %s could not be set: %s", base, error)
            return False
        except NotFound:
            if self.is_founded(base, **kwargs):
                raise
            if len(new) - len(joining) > len(new) // 2:
                self.logger.info("Base %s has not been founded: there is nothing to copy", base)
                return True
            # Old and new peers could each found one of their own.
            self.admin.get_properties(**where, **kwargs)
            self.admin.set_peers(peers=new, **where, **kwargs)
        # A peer that stays is the better source: the other one may be about to be thrown away.
        sources = sorted(old, key=lambda peer: (peer not in new, peer))
        for target in joining:
            if not self._copy_from_any(base, sources, target, **kwargs):
                self._restore_peers(base, **kwargs)
                return False
        self._placed.add(base)
        return True

    def is_founded(self, base: str, **kwargs: Any) -> bool:
        """Whether the base exists, or may exist: too few of its old peers could be asked."""
        old = list(self._get_old_peers_by_base(base))
        if not old:
            return False
        found = self.admin.has_base(service_id=old, **self._base(base), **kwargs)
        states = [answer["status"]["status"] for answer in found.values()]
        return OK in states or states.count(BASE_NOT_FOUND) <= len(old) // 2

    def _copy_from_any(self, base: str, sources: Iterable[str], target: str, **kwargs: Any) -> bool:
        for source in sources:
            try:
                self.admin.copy_base_from(svc_from=source, svc_to=target, **self._base(base), **kwargs)
            except OioException as error:
                self.logger.warning("Base %s not copied from %s to %s: %s", base, source, target, error)
            else:
                self.logger.info("Base %s copied from %s to %s", base, source, target)
                return True
        return False

    def _restore_peers(self, base: str, **kwargs: Any) -> None:
        old = self._get_old_peers_by_base(base)
        if not old:
            return
        try:
            self.admin.set_peers(peers=old, **self._base(base), **kwargs)
        except OioException as error:
            self.logger.warning("Old peers of base %s could not be restored: %s", base, error)

    def reset_election(self, base: str, **kwargs: Any) -> bool:
        """Take the file from services that are no peers any more, and let the others elect; False after a failure."""
        where = self._base(base)
        new = self._get_peers_by_base(base)
        leaving = [peer for peer in self._get_old_peers_by_base(base) if peer not in new]
        try:
            if leaving:
                self.admin.election_leave(**where, **kwargs)
                self.admin.remove_base(service_id=leaving, **where, **kwargs)
            self.admin.election_leave(**where, **kwargs)
            status = self.admin.election_status(**where, **kwargs)
            from_multi_responses(status["peers"], excepted_status=(200, 303))
        except OioException as error:
            if not self.is_founded(base, **kwargs):
                return True
            self.logger.warning("Election of base %s could not be reset: %s", base, error)
            return False
        return True

    def _base(self, base: str) -> dict[str, str]:
        cid, _ = self.get_cid_and_seq(base)
        return {"service_type": self._get_service_type_by_base(base), "cid": cid}
