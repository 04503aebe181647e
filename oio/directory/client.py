"""References and the services linked to them."""

from __future__ import annotations

import builtins
import json
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from oio.common.client import ProxyClient
from oio.common.exceptions import NotFound


class DirectoryClient(ProxyClient):
    """Client of the directory. A reference is given by `account` and `reference`, or by `cid` alone.

    Errors are those of `oio.common.exceptions`: NotFound for an unknown reference, BadRequest for an incomplete one,
    ServiceBusy when no service could be asked.
    """

    def __init__(self, conf: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(conf, request_prefix="/reference", **kwargs)

    @staticmethod
    def _make_params(
        account: str | None = None,
        reference: str | None = None,
        cid: str | None = None,
        service_type: str | None = None,
    ) -> dict[str, Any]:
        params: dict[str, Any] = {"cid": cid} if cid else {"acct": account, "ref": reference}
        if service_type:
            params["type"] = service_type
        return params

    def create(
        self,
        account: str | None = None,
        reference: str | None = None,
        properties: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> bool:
        """Create a reference: True, or False when it existed; the properties of an existing one stay as they are."""
        data = json.dumps({"properties": dict(properties or {})})
        params = self._make_params(account, reference)
        resp, _ = self._request("POST", "/create", params=params, data=data, **kwargs)
        return resp is None or resp.status == 201

    def has(
        self,
        account: str | None = None,
        reference: str | None = None,
        cid: str | None = None,
        **kwargs: Any,
    ) -> bool:
        """Whether a reference exists. Errors other than NotFound are raised."""
        try:
            self._request("GET", "/has", params=self._make_params(account, reference, cid), **kwargs)
        except NotFound:
            return False
        return True

    def list(
        self,
        account: str | None = None,
        reference: str | None = None,
        service_type: str | None = None,
        cid: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """`dir`: the meta0 and meta1 services of a reference; `srv`: services linked to it, one item for each host.

        With `service_type`, only services of this type. Also `cid`, `account` and `name`.
        """
        params = self._make_params(account, reference, cid, service_type)
        _, body = self._request("GET", "/show", params=params, **kwargs)
        return dict(body)

    def show(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Deprecated: use `list`."""
        warnings.warn("'show' is deprecated, use 'list'", DeprecationWarning, stacklevel=2)
        return self.list(*args, **kwargs)

    def delete(
        self,
        account: str | None = None,
        reference: str | None = None,
        cid: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Delete a reference. Forbidden (status 407) while services or properties are linked to it."""
        self._request("POST", "/destroy", params=self._make_params(account, reference, cid), **kwargs)

    def destroy(self, *args: Any, **kwargs: Any) -> None:
        """Deprecated: use `delete`."""
        warnings.warn("'destroy' is deprecated, use 'delete'", DeprecationWarning, stacklevel=2)
        self.delete(*args, **kwargs)

    def link(
        self,
        account: str | None = None,
        reference: str | None = None,
        service_type: str | None = None,
        cid: str | None = None,
        autocreate: bool = False,
        **kwargs: Any,
    ) -> None:
        """Choose services of a type and link them to a reference; nothing happens while one linked service is up.

        Forbidden (status 481) when there are not enough services, BadRequest for an unknown type.
        """
        params = self._make_params(account, reference, cid, service_type)
        self._request("POST", "/link", params=params, autocreate=autocreate, **kwargs)

    def unlink(
        self,
        account: str | None = None,
        reference: str | None = None,
        service_type: str | None = None,
        cid: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Forget all services of a type; nothing happens when none is linked."""
        params = self._make_params(account, reference, cid, service_type)
        self._request("POST", "/unlink", params=params, **kwargs)

    def renew(
        self,
        account: str | None = None,
        reference: str | None = None,
        service_type: str | None = None,
        cid: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Choose services of a type anew, as the update policy of the namespace says."""
        params = self._make_params(account, reference, cid, service_type)
        self._request("POST", "/renew", params=params, **kwargs)

    def force(
        self,
        account: str | None = None,
        reference: str | None = None,
        service_type: str | None = None,
        services: Any = None,
        cid: str | None = None,
        autocreate: bool = False,
        replace: bool = False,
        **kwargs: Any,
    ) -> None:
        """Link one service description `{"seq", "type", "host", "args"}`; `host` may be several, separated by commas.

        Forbidden (status 455) when there is one of this type and sequence and not `replace`.
        """
        params = self._make_params(account, reference, cid, service_type)
        if replace:
            params["replace"] = "yes"
        data = json.dumps(services)
        self._request("POST", "/force", params=params, data=data, autocreate=autocreate, **kwargs)

    def linked(
        self,
        service_type: str,
        host: str,
        cid: str,
        marker: str | None = None,
        limit: int | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """References of one meta1 base, that of `cid`, to which a service is linked.

        `references` (`cid`, `account`, `name`) after the container id `marker`, and whether there are more
        (`truncated`). A route of these services only.
        """
        params = {"type": service_type, "host": host, "cid": cid, "marker": marker, "limit": limit}
        _, body = self._request("GET", "/linked", params=params, **kwargs)
        return dict(body)

    def get_properties(
        self,
        account: str | None = None,
        reference: str | None = None,
        properties: Iterable[str] | None = None,
        cid: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """`cid` and `properties` of a reference: those that are named and exist, or all."""
        params = self._make_params(account, reference, cid)
        data = json.dumps(builtins.list(properties or ()))
        _, body = self._request("POST", "/get_properties", params=params, data=data, **kwargs)
        return dict(body)

    def set_properties(
        self,
        account: str | None = None,
        reference: str | None = None,
        properties: Mapping[str, str] | None = None,
        cid: str | None = None,
        clear: bool = False,
        **kwargs: Any,
    ) -> None:
        """Set properties; others stay, unless `clear`. An empty text deletes a property. BadRequest for no text."""
        params = self._make_params(account, reference, cid)
        if clear:
            params["flush"] = 1
        data = json.dumps({"properties": dict(properties or {})})
        self._request("POST", "/set_properties", params=params, data=data, **kwargs)

    def del_properties(
        self,
        account: str | None = None,
        reference: str | None = None,
        properties: Iterable[str] | None = None,
        cid: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Delete properties: those that are named, or all when none is."""
        params = self._make_params(account, reference, cid)
        data = json.dumps(builtins.list(properties or ()))
        self._request("POST", "/del_properties", params=params, data=data, **kwargs)
