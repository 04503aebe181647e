"""Client of the reverse index: for each meta2 volume, the containers whose bases it holds."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from oio.api.base import HttpApi
from oio.common.configuration import validate_service_conf
from oio.common.exceptions import NotFound, OioException, OioNetworkException, VolumeException
from oio.common.request_id import request_id
from oio.conscience.client import ConscienceClient
from oio.directory.admin import AdminClient
from oio.directory.client import DirectoryClient

RDIR_ACCT: Final = "_RDIR"
"""Account of the references that tell which rdir service a volume has."""
PAGE: Final = 4096
MAX_CACHED: Final = 65536
YOUNGEST: Final = 0.9
"""Addresses are kept for this share of the cache's duration up to the whole, so that they are not all asked at once."""

Record = dict[str, Any]
"""`{"container_id", "container_url", "extra_data", "mtime"}`."""


class RdirClient(HttpApi):
    """Reads from any of a volume's rdir services and writes to all of them; their addresses are kept for a while."""

    def __init__(
        self,
        conf: Mapping[str, Any],
        directory_client: DirectoryClient | None = None,
        cache_duration: float = 60.0,
        logger: Any = None,
        **kwargs: Any,
    ) -> None:
        self.conf = conf
        self.ns = validate_service_conf(conf)
        super().__init__(service_type="rdir", logger=logger, **kwargs)
        self.directory = directory_client or DirectoryClient(conf, **self._shared(kwargs))
        self._given = self._shared(kwargs)
        self._cache_duration = cache_duration
        self._addresses: dict[str, tuple[list[str], float]] = {}
        self._lock = threading.Lock()

    def _shared(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        names = ("pool_manager", "endpoint", "admin_mode", "force_master")
        return {name: kwargs[name] for name in names if name in kwargs}

    @functools.cached_property
    def admin(self) -> AdminClient:
        """Client of the proxy's caches."""
        return AdminClient(self.conf, **self._given)

    @functools.cached_property
    def cs(self) -> ConscienceClient:
        """Client of the conscience."""
        return ConscienceClient(self.conf, **self._given)

    # -- where

    def _hosts(self, volume_id: str, reqid: str, **kwargs: Any) -> list[str]:
        """Addresses of a volume's rdir services; VolumeException when there is none."""
        now = time.monotonic()
        with self._lock:
            hosts, until = self._addresses.get(volume_id, ([], 0.0))
        if hosts and now < until:
            return hosts
        hosts = [self._address(one, reqid) for one in self._linked(volume_id, reqid, **kwargs)]
        share = YOUNGEST + (1 - YOUNGEST) * (hash(volume_id) % 100) / 100
        with self._lock:
            self._addresses.pop(volume_id, None)
            self._addresses[volume_id] = (hosts, now + self._cache_duration * share)
            if len(self._addresses) > MAX_CACHED:
                self._addresses.pop(next(iter(self._addresses)))
        return hosts

    def _linked(self, volume_id: str, reqid: str, **kwargs: Any) -> list[str]:
        try:
            found = self.directory.list(RDIR_ACCT, volume_id, service_type="rdir", reqid=reqid, **kwargs)
        except NotFound as error:
            raise VolumeException(f"No rdir assigned to volume {volume_id}") from error
        hosts = [service["host"] for service in found.get("srv", ()) if service["type"] == "rdir"]
        if not hosts:
            raise VolumeException(f"No rdir assigned to volume {volume_id}")
        return hosts

    def _address(self, host: str, reqid: str) -> str:
        return host if ":" in host else self.cs.resolve_service_id("rdir", host, reqid=reqid)

    def forget(self, volume_id: str, **kwargs: Any) -> None:
        """Look up a volume's rdir services anew at the next request."""
        with self._lock:
            self._addresses.pop(volume_id, None)
        # The proxy may hold what was linked before.
        self.admin.proxy_flush_cache(high=False, low=True, **kwargs)

    # -- requests

    def _rdir_request(self, volume_id: str, method: str, action: str, **kwargs: Any) -> Any:
        """The body of the answer. Reads end with the first that answers, writes go to every host.

        The error when all hosts answer the same kind of it, OioException with the list of them otherwise.
        """
        reqid = str(kwargs.pop("reqid", None) or request_id())
        json, passed = kwargs.pop("json", None), {k: v for k, v in kwargs.items() if k != "params"}
        errors: list[OioException] = []
        done, body = False, None
        for host in self._hosts(volume_id, reqid, **passed):
            url = f"http://{host}/v1/rdir/{action}"
            try:
                _, body = self._direct_request(
                    method, url, params={"vol": volume_id}, json=json, reqid=reqid, **passed
                )
                done = True
            except NotFound as error:
                self.forget(volume_id)
                errors.append(error)
            except OioException as error:
                if isinstance(error, OioNetworkException):
                    with self._lock:
                        self._addresses.pop(volume_id, None)
                errors.append(error)
            if done and method == "GET":
                return body
        if not done:
            if len({type(error) for error in errors}) == 1:
                raise errors[0]
            raise OioException([str(error) for error in errors])
        for one in errors:
            self.logger.warning("rdir of volume %s: %s (reqid=%s)", volume_id, one, reqid)
        return body

    # -- meta2

    def meta2_index_create(self, volume_id: str, **kwargs: Any) -> None:
        """Make the index of a volume; nothing happens when there is one."""
        self._rdir_request(volume_id, "POST", "meta2/create", **kwargs)

    def meta2_index_push(
        self, volume_id: str, container_url: str, container_id: str, mtime: float, **kwargs: Any
    ) -> None:
        """Add a container (`NS/account/name`) to a volume's index; `mtime` in seconds since 1970.

        NotFound when the volume has no index.
        """
        record = {"container_url": container_url, "container_id": container_id, "mtime": int(mtime)}
        self._rdir_request(volume_id, "POST", "meta2/push", json=record, **kwargs)

    def meta2_index_delete(
        self,
        volume_id: str,
        container_path: str | None = None,
        container_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Forget a container; an unknown one is no error. The path is looked up when only the id is given.

        ValueError when neither is given.
        """
        if not container_path and not container_id:
            raise ValueError("At least the container ID should be given.")
        if not container_path:
            found = self.directory.list(cid=container_id, **kwargs)
            container_path = "/".join((self.ns, found["account"], found["name"]))
        record = {"container_url": container_path, "container_id": container_id}
        self._rdir_request(volume_id, "POST", "meta2/delete", json=record, **kwargs)

    def meta2_index_fetch(
        self,
        volume_id: str,
        prefix: str | None = None,
        marker: str | None = None,
        limit: int = PAGE,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """`records` in the order of their path, those after `marker`, and whether there are more (`truncated`)."""
        wanted = {"prefix": prefix, "marker": marker, "limit": limit}
        body = {name: value for name, value in wanted.items() if value}
        return dict(self._rdir_request(volume_id, "GET", "meta2/fetch", json=body, **kwargs))

    def meta2_index_fetch_all(self, volume_id: str, **kwargs: Any) -> Iterator[Record]:
        """All records of a volume, page by page."""
        marker = kwargs.pop("marker", None)
        while True:
            page = self.meta2_index_fetch(volume_id, marker=marker, **kwargs)
            yield from page["records"]
            if not page["truncated"] or not page["records"]:
                return
            marker = page["records"][-1]["container_url"]
