"""Administration of bases, elections, the proxy and single services."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from oio.common.client import ProxyClient

Peers = dict[str, dict[str, Any]]
"""Address of a peer -> `{"status": {"status": int, "message": str}, "body": any}`."""


def service_id_to_string(service_id: Any) -> str | None:
    """One service id, or several joined with commas; None for none; ValueError for anything else."""
    if not service_id:
        return None
    if isinstance(service_id, str):
        return service_id
    try:
        return ",".join(service_id)
    except TypeError as error:
        raise ValueError("'service_id' must be a string or a list") from error


def loc_params(func: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method that takes `params` be called with the location of a base.

    `service_type` and either `cid` or `account` and `reference` are needed (ValueError), here or in `params` already.
    """

    @functools.wraps(func)
    def located(
        self: Any,
        service_type: str | None = None,
        account: str | None = None,
        reference: str | None = None,
        cid: str | None = None,
        service_id: Any = None,
        suffix: str | None = None,
        **kwargs: Any,
    ) -> Any:
        params = dict(kwargs.pop("params", None) or {})
        if service_type:
            params["type"] = service_type
        elif "type" not in params:
            raise ValueError("Missing value for service_type")
        if cid:
            params["cid"] = cid
        elif account and reference:
            params["acct"] = account
            params["ref"] = reference
        elif "cid" not in params and not ("acct" in params and "ref" in params):
            raise ValueError("Missing value for account and reference or cid")
        chosen = service_id_to_string(service_id)
        if chosen:
            params["service_id"] = chosen
        if suffix:
            params["suffix"] = suffix
        return func(self, params, **kwargs)

    return located


class AdminClient(ProxyClient):
    """Low-level administration. Methods that are about a base take its location as `loc_params` says."""

    def __init__(self, conf: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(conf, request_prefix="/admin", **kwargs)

    @functools.cached_property
    def cache_client(self) -> ProxyClient:
        """Client of the proxy's caches."""
        return ProxyClient(self.conf, request_prefix="/cache", no_ns_in_url=True, **self._sharing())

    @functools.cached_property
    def forwarder(self) -> ProxyClient:
        """Client of what the proxy hands on to one service."""
        return ProxyClient(self.conf, request_prefix="/forward", no_ns_in_url=True, **self._sharing())

    # -- elections

    @loc_params
    def election_debug(self, params: dict[str, Any], **kwargs: Any) -> Peers:
        """What each peer knows of the election, with its last transitions, newest first."""
        return self._peers("/debug", params, **kwargs)

    @loc_params
    def election_leave(self, params: dict[str, Any], **kwargs: Any) -> Peers:
        """Make all peers, or the given ones, leave the election."""
        return self._peers("/leave", params, **kwargs)

    @loc_params
    def election_ping(self, params: dict[str, Any], **kwargs: Any) -> Peers:
        """Ask each peer to take part in the election; there is a master some time later."""
        return self._peers("/ping", params, **kwargs)

    @loc_params
    def election_status(self, params: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """`peers` as they answered, `type`, and `master` and `slaves` as far as there are any."""
        peers = self._peers("/status", params, **kwargs)
        found: dict[str, Any] = {"peers": peers, "type": params["type"]}
        for peer, answer in peers.items():
            status = answer["status"]["status"]
            if status == 200:
                found["master"] = peer
            elif status == 303:
                found.setdefault("slaves", []).append(peer)
        return found

    @loc_params
    def election_sync(self, params: dict[str, Any], check_type: int | None = None, **kwargs: Any) -> Peers:
        """Let slaves fetch the base from the master. `check_type`: -1 the service's choice, 0 none, 1 quick, 2 full.

        The master answers 301.
        """
        if isinstance(check_type, int):
            params["check_type"] = check_type
        return self._peers("/sync", params, **kwargs)

    # -- properties

    @loc_params
    def get_properties(self, params: dict[str, Any], **kwargs: Any) -> dict[str, dict[str, str]]:
        """`properties` and `system` of a base."""
        return dict(self._body("POST", "/get_properties", params=params, data="", **kwargs))

    @loc_params
    def set_properties(
        self,
        params: dict[str, Any],
        properties: Mapping[str, str] | None = None,
        system: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        **kwargs: Any,
    ) -> None:
        """Set properties of a base. Keys of `system`, a mapping or pairs, begin with `sys.` or get it."""
        data: dict[str, Any] = {}
        if properties:
            data["properties"] = dict(properties)
        if system:
            pairs = dict(system)
            data["system"] = {
                key if key.startswith("sys.") else f"sys.{key}": value for key, value in pairs.items()
            }
        self._request("POST", "/set_properties", params=params, json=data, **kwargs)

    @loc_params
    def set_peers(self, params: dict[str, Any], peers: Iterable[str], **kwargs: Any) -> None:
        """Set who takes part in the election of a base."""
        data = {"system": {"sys.peers": ",".join(sorted(peers))}}
        self._request("POST", "/set_properties", params=params, json=data, **kwargs)

    # -- files

    @loc_params
    def has_base(self, params: dict[str, Any], **kwargs: Any) -> Peers:
        """Whether each peer has the file: status 200 and its path, or 431."""
        return self._peers("/has", params, **kwargs)

    @loc_params
    def copy_base_from(self, params: dict[str, Any], svc_from: str, svc_to: str, **kwargs: Any) -> None:
        """Copy a base from one service to another, which fetches it."""
        self._request("POST", "/copy", params=params, json={"to": svc_to, "from": svc_from}, **kwargs)

    @loc_params
    def copy_base_to(self, params: dict[str, Any], svc_to: str, **kwargs: Any) -> None:
        """Copy a base to a service from a peer that the directory names, the master if it can."""
        self._request("POST", "/copy", params=params, json={"to": svc_to}, **kwargs)

    @loc_params
    def copy_base_local(self, params: dict[str, Any], svc_from: str, **kwargs: Any) -> None:
        """Copy a base beside itself under a `suffix`, outside of elections. ValueError without suffix."""
        if not params.get("suffix"):
            raise ValueError("Missing suffix for local copy")
        self._request("POST", "/copy", params=params, json={"from": svc_from, "local": 1}, **kwargs)

    @loc_params
    def remove_base(self, params: dict[str, Any], **kwargs: Any) -> Peers:
        """Delete the file at the given services; the directory must know the new peers before."""
        return self._peers("/remove", params, **kwargs)

    @loc_params
    def vacuum_base(self, params: dict[str, Any], **kwargs: Any) -> None:
        """Give back the free pages of a base."""
        self._request("POST", "/vacuum", params=params, **kwargs)

    # -- the proxy

    def proxy_flush_cache(
        self, high: bool = True, low: bool = True, proxy_netloc: str | None = None, **kwargs: Any
    ) -> None:
        """Empty the proxy's caches: `high` (services and meta0), `low` (services of references)."""
        endpoint = f"http://{proxy_netloc}/v3.0/cache" if proxy_netloc else None
        for wanted, name in ((high, "high"), (low, "low")):
            if wanted:
                self.cache_client._request("POST", f"/flush/{name}", endpoint=endpoint, **kwargs)

    def proxy_get_cache_status(self, proxy_netloc: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Entries and limits of the proxy's caches."""
        endpoint = f"http://{proxy_netloc}/v3.0/cache" if proxy_netloc else None
        _, body = self.cache_client._request("GET", "/status", endpoint=endpoint, **kwargs)
        return dict(body)

    def proxy_get_live_config(self, proxy_netloc: str | None = None, **kwargs: Any) -> dict[str, str]:
        """All live variables of a proxy."""
        _, body = self._request("GET", "/config", endpoint=self._proxy_endpoint(proxy_netloc), **kwargs)
        return dict(body)

    def proxy_set_live_config(
        self, proxy_netloc: str | None = None, config: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> dict[str, bool]:
        """Set live variables of a proxy: name -> whether it was set. ValueError without `config`."""
        if config is None:
            raise ValueError("Missing value for 'config'")
        endpoint = self._proxy_endpoint(proxy_netloc)
        _, body = self._request("POST", "/config", endpoint=endpoint, json=dict(config), **kwargs)
        return dict(body)

    def _proxy_endpoint(self, netloc: str | None) -> str:
        return f"http://{netloc}/v3.0" if netloc else f"{self.proxy_scheme}://{self.proxy_netloc}/v3.0"

    # -- single services

    def service_balance_elections(
        self, svc_id: str, max_ops: int = 0, inactivity: int = 0, **kwargs: Any
    ) -> tuple[int, int]:
        """Let a service leave up to `max_ops` elections that were idle for `inactivity` seconds.

        HTTP status and the number of elections that it left.
        """
        params = {"inactivity": inactivity, "max": max_ops, "id": svc_id}
        resp, body = self.forwarder._request("POST", "/balance-masters", params=params, **kwargs)
        return (resp.status if resp is not None else 409), int(body or 0)

    def service_list_bases(self, svc_id: str, **kwargs: Any) -> list[str]:
        """Names of all bases on the volume of a service, wanted there or not."""
        _, body = self.forwarder._request("GET", "/bases", params={"id": svc_id}, **kwargs)
        return [str(name) for name in body]

    def service_remove_base(self, svc_id: str, service_type: str, name: str, **kwargs: Any) -> None:
        """Delete a base from the volume of one service, whether the directory knows it or not."""
        params = {"id": svc_id, "type": service_type, "name": name}
        self.forwarder._request("POST", "/remove-base", params=params, **kwargs)

    def service_flush_cache(self, svc_id: str, **kwargs: Any) -> None:
        """Empty the caches of a service."""
        self.forwarder._request("POST", "/flush", params={"id": svc_id}, **kwargs)

    def service_reload_lb(self, svc_id: str, **kwargs: Any) -> None:
        """Let a service load the list of services anew."""
        self.forwarder._request("POST", "/reload", params={"id": svc_id}, **kwargs)

    def service_release_memory(self, svc_id: str, **kwargs: Any) -> None:
        """Let a service give back memory."""
        self.forwarder._request("POST", "/lean-glib", params={"id": svc_id}, **kwargs)

    def service_get_info(self, svc_id: str, **kwargs: Any) -> dict[str, Any]:
        """What a service tells of itself."""
        _, body = self.forwarder._request("GET", "/info", params={"id": svc_id}, **kwargs)
        return dict(body)

    def service_get_live_config(self, svc_id: str, **kwargs: Any) -> dict[str, str]:
        """All live variables of a service."""
        _, body = self.forwarder._request("GET", "/config", params={"id": svc_id}, **kwargs)
        return dict(body)

    def service_set_live_config(
        self, svc_id: str, config: Mapping[str, Any], **kwargs: Any
    ) -> dict[str, bool]:
        """Set live variables of a service: name -> whether it was set."""
        _, body = self.forwarder._request(
            "POST", "/config", params={"id": svc_id}, json=dict(config), **kwargs
        )
        return dict(body)

    def _peers(self, url: str, params: dict[str, Any], **kwargs: Any) -> Peers:
        return dict(self._body("POST", url, params=params, **kwargs))

    def _body(self, method: str, url: str, **kwargs: Any) -> Any:
        return self._request(method, url, **kwargs)[1]
