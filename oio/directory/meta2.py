"""Bases of containers: moved from one meta2 service to another, rebuilt where a copy is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from oio.common.exceptions import OioException, StatusMessageException, from_multi_responses
from oio.common.logger import get_logger
from oio.common.request_id import request_id
from oio.conscience.client import ConscienceClient
from oio.directory.admin import AdminClient
from oio.directory.client import DirectoryClient
from oio.directory.prefixes import cid_and_seq
from oio.rdir.client import RdirClient

IS_MASTER: Final = 473
"""Status of a copy to the service that is master of the base."""
Result = dict[str, Any]


class Meta2Database:
    """Moves and rebuilds bases of `service_type`, which are called `<cid>` or `<cid>.<seq>`."""

    def __init__(
        self,
        conf: Mapping[str, Any],
        logger: Any = None,
        admin_client: AdminClient | None = None,
        conscience_client: ConscienceClient | None = None,
        rdir_client: RdirClient | None = None,
        directory_client: DirectoryClient | None = None,
        service_type: str = "meta2",
    ) -> None:
        self.conf = conf
        self.logger = logger or get_logger(dict(conf))
        self.service_type = service_type
        self._admin = admin_client
        self._conscience = conscience_client
        self._rdir = rdir_client
        self._directory = directory_client
        self.services_by_base: dict[str, list[dict[str, Any]]] = {}
        self.all_service_ids: list[str] = []
        self.reload_all_services()

    @property
    def admin(self) -> AdminClient:
        """Client of elections and bases."""
        if self._admin is None:
            self._admin = AdminClient(self.conf, logger=self.logger)
        return self._admin

    @property
    def conscience(self) -> ConscienceClient:
        """Client of the conscience."""
        if self._conscience is None:
            self._conscience = ConscienceClient(self.conf, logger=self.logger)
        return self._conscience

    @property
    def rdir(self) -> RdirClient:
        """Client of the reverse index."""
        if self._rdir is None:
            self._rdir = RdirClient(self.conf, logger=self.logger)
        return self._rdir

    @property
    def directory(self) -> DirectoryClient:
        """Client of references."""
        if self._directory is None:
            self._directory = DirectoryClient(self.conf, logger=self.logger)
        return self._directory

    def reload_all_services(self) -> None:
        """Ask the conscience which services there are."""
        self.all_service_ids = [service["id"] for service in self.conscience.all_services(self.service_type)]

    def reset_peers(self) -> None:
        """Forget the peers of all bases."""
        self.services_by_base = {}

    @staticmethod
    def get_cid_and_seq(base: str) -> tuple[str, int | None]:
        """Container id, padded with zeros, and sequence of a base, None when it has none. ValueError."""
        found = cid_and_seq(base)
        if found is None:
            raise ValueError(f"Bad format for the base name (base={base})")
        return found

    # -- which bases

    def _bases(self, base: str, **kwargs: Any) -> list[tuple[str, str, int]]:
        """Name, container id and sequence of each base that is meant; their peers are loaded."""
        cid, wanted = self.get_cid_and_seq(base)
        found: dict[int, list[dict[str, Any]]] = {}
        for service in self.directory.list(cid=cid, **kwargs)["srv"]:
            if service["type"] == self.service_type and wanted in (None, service["seq"]):
                found.setdefault(int(service["seq"]), []).append(service)
        for seq, services in found.items():
            self.services_by_base[f"{cid}.{seq}"] = services
        return [(f"{cid}.{seq}", cid, seq) for seq in sorted(found)]

    def _peers(self, name: str) -> list[str]:
        return [service["host"] for service in self.services_by_base[name]]

    def _where(self, cid: str) -> dict[str, str]:
        return {"service_type": self.service_type, "cid": cid}

    # -- move

    def move(self, base: str, src: str, dst: str | None = None, **kwargs: Any) -> Iterator[Result]:
        """Move bases from `src` to `dst`, or to a service that the load balancer chooses.

        For each: `{"base", "src", "dst", "err"}`; `err` is None or the exception. May be called again after an
        interruption.
        """
        kwargs.setdefault("reqid", request_id("m2mov-"))
        try:
            bases = self._bases(base, **kwargs)
        except (OioException, ValueError) as error:
            self.logger.error("Bases of %s are not known: %s", base, error)
            yield {"base": base, "src": src, "dst": dst, "err": error}
            return
        for name, cid, seq in bases:
            result: Result = {"base": name, "src": src, "dst": dst, "err": None}
            try:
                result["dst"] = self._move(name, cid, seq, src, dst, **kwargs)
            except (OioException, ValueError) as error:
                self.logger.error("Base %s not moved (src=%s dst=%s): %s", name, src, dst, error)
                result["err"] = error
            yield result

    def _move(self, name: str, cid: str, seq: int, src: str, dst: str | None, **kwargs: Any) -> str:
        old = self._peers(name)
        if src not in old:
            raise ValueError(f"Source service isn't used (peers={old})")
        rest = [peer for peer in old if peer != src]
        target = dst or self._choose(rest, src, **kwargs)
        if target in old:
            raise ValueError(f"Destination service is already used (peers={old})")
        if target not in self.all_service_ids:
            self.reload_all_services()
        if target not in self.all_service_ids:
            raise ValueError(f"Destination service must be a {self.service_type} service")
        sources, _ = self._sources(name, cid, **kwargs)
        new = [*rest, target]
        self.admin.set_peers(peers=new, **self._where(cid), **kwargs)
        try:
            self._copy(name, cid, sources, target, **kwargs)
        except OioException:
            # Nothing was linked yet, so the old peers are still the ones that the directory names.
            self.admin.set_peers(peers=old, **self._where(cid), **kwargs)
            raise
        args = self.services_by_base[name][0].get("args", "")
        link = {"type": self.service_type, "host": ",".join(new), "args": args, "seq": seq}
        self.directory.force(service_type=self.service_type, cid=cid, services=link, replace=True, **kwargs)
        self._forget_in_index(src, cid, **kwargs)
        self._leave(name, cid, src, **kwargs)
        return target

    def _choose(self, rest: Sequence[str], src: str, **kwargs: Any) -> str:
        namespace = self.conscience.ns
        known = [f"{namespace}|{self.service_type}|{peer}" for peer in rest]
        avoid = [f"{namespace}|{self.service_type}|{src}"]
        found = self.conscience.poll(self.service_type, known=known, avoid=avoid, **kwargs)
        if not found:
            raise ValueError(f"No {self.service_type} service is left to move to; dst= names one")
        return found[0]["addr"]

    def _forget_in_index(self, src: str, cid: str, **kwargs: Any) -> None:
        try:
            self.rdir.meta2_index_delete(src, container_id=cid, **kwargs)
        except OioException as error:
            self.logger.warning("Container %s stays in the index of %s: %s", cid, src, error)

    def _leave(self, name: str, cid: str, src: str, **kwargs: Any) -> None:
        """Take the file from the old peer and let the others elect; a failure leaves a file too many, and is logged."""
        where = self._where(cid)
        try:
            self.admin.election_leave(**where, **kwargs)
            self.admin.remove_base(service_id=src, **where, **kwargs)
            status = self.admin.election_status(**where, **kwargs)
            from_multi_responses(status["peers"], excepted_status=(200, 303))
        except OioException as error:
            self.logger.warning("Election of base %s could not be reset: %s", name, error)

    # -- rebuild

    def rebuild(self, base: str, **kwargs: Any) -> Iterator[Result]:
        """Copy bases to those of their peers that lack them.

        For each: `{"base", "err"}`; `err` is None or an exception that names every peer that could not be rebuilt.
        """
        kwargs.setdefault("reqid", request_id("m2reb-"))
        try:
            bases = self._bases(base, **kwargs)
        except (OioException, ValueError) as error:
            self.logger.error("Bases of %s are not known: %s", base, error)
            yield {"base": base, "err": error}
            return
        for name, cid, _ in bases:
            result: Result = {"base": name, "err": None}
            try:
                self._rebuild(name, cid, **kwargs)
            except (OioException, ValueError) as error:
                self.logger.error("Base %s not rebuilt: %s", name, error)
                result["err"] = error
            yield result

    def _rebuild(self, name: str, cid: str, **kwargs: Any) -> None:
        sources, missing = self._sources(name, cid, **kwargs)
        errors = []
        for target in missing:
            try:
                self._copy(name, cid, sources, target, **kwargs)
            except OioException as error:
                errors.append(f"{target}: {error}")
        if errors:
            raise OioException(errors)

    # -- copies

    def _sources(self, name: str, cid: str, **kwargs: Any) -> tuple[list[str], list[str]]:
        """Peers that have the file, the master first, and peers that lack it. ValueError when nobody has it."""
        where = self._where(cid)
        here, missing = [], []
        for peer, answer in self.admin.has_base(**where, **kwargs).items():
            if answer["status"]["status"] == 200:
                here.append(peer)
            else:
                self.logger.warning("Missing base (base=%s service=%s status=%s)", name, peer, answer)
                missing.append(peer)
        if not here:
            raise ValueError("No base to copy")
        master = self.admin.election_status(**where, **kwargs).get("master")
        if master in missing:
            self.logger.warning("Master service %s for %s does not host the base!", master, name)
        return sorted(here, key=lambda peer: peer != master), missing

    def _copy(self, name: str, cid: str, sources: Sequence[str], target: str, **kwargs: Any) -> None:
        """Copy from the first source that works; OioException with the errors of all."""
        errors = []
        for source in sources:
            try:
                self._copy_from(cid, source, target, **kwargs)
            except OioException as error:
                errors.append(f"from {source}: {error}")
                self.logger.warning("Base %s not copied from %s to %s: %s", name, source, target, error)
            else:
                return
        raise OioException(errors)

    def _copy_from(self, cid: str, source: str, target: str, **kwargs: Any) -> None:
        where = self._where(cid)
        try:
            self.admin.copy_base_from(svc_from=source, svc_to=target, **where, **kwargs)
        except StatusMessageException as error:
            if error.status != IS_MASTER:
                raise
            self.admin.election_leave(**where, **kwargs)
            self.admin.copy_base_from(svc_from=source, svc_to=target, **where, **kwargs)
