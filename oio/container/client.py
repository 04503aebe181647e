"""Containers, as far as their meta2 bases are concerned: made, shown and deleted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from oio.common.client import ProxyClient


class ContainerClient(ProxyClient):
    """Client of containers. One is given by `account` and `reference`, or by `cid` alone."""

    def __init__(self, conf: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(conf, request_prefix="/container", **kwargs)

    @staticmethod
    def _make_params(account: str | None, reference: str | None, cid: str | None) -> dict[str, Any]:
        return {"cid": cid} if cid else {"acct": account, "ref": reference}

    def container_create(
        self,
        account: str | None,
        reference: str | None,
        properties: Mapping[str, str] | None = None,
        system: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> bool:
        """Create a container and its reference: True, or False when it existed."""
        data = json.dumps({"properties": dict(properties or {}), "system": dict(system or {})})
        params = self._make_params(account, reference, None)
        resp, _ = self._request("POST", "/create", params=params, data=data, **kwargs)
        return resp is None or resp.status == 201

    def container_delete(
        self,
        account: str | None = None,
        reference: str | None = None,
        cid: str | None = None,
        force: bool = False,
        **kwargs: Any,
    ) -> None:
        """Delete a container; its reference stays. NotFound (status 431) when there is none."""
        params = self._make_params(account, reference, cid)
        if force:
            params["force"] = "1"
        self._request("POST", "/destroy", params=params, **kwargs)

    def container_get_properties(
        self,
        account: str | None = None,
        reference: str | None = None,
        properties: Iterable[str] | None = None,
        cid: str | None = None,
        **kwargs: Any,
    ) -> dict[str, dict[str, str]]:
        """`properties` and `system` of a container."""
        params = self._make_params(account, reference, cid)
        data = json.dumps(list(properties or ()))
        _, body = self._request("POST", "/get_properties", params=params, data=data, **kwargs)
        return dict(body)
