"""The base of clients of the proxy."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from typing import Any, Final

from oio.api.base import HttpApi, Response
from oio.common.configuration import load_namespace_conf, validate_service_conf
from oio.common.exceptions import Conflict, ServiceBusy
from oio.common.logger import get_logger

API_VERSION: Final = "v3.0"
PAUSE: Final = 0.5
"""Seconds of one step of the pause before a busy proxy is asked again."""
MAX_EXPONENT: Final = 10


class ProxyClient(HttpApi):
    """A client of the namespace's proxy below `request_prefix`.

    `conf` needs `namespace` (InvalidServiceConfigError, a ValueError). The proxy's address is `endpoint`, else
    `proxyd_url` of `conf`, else `proxy` of the namespace file. A busy proxy (503) is asked up to `request_attempts`
    times; a conflict that answers a repeated POST means that an earlier one was carried out.

    A proxy on another machine lets only those administer that know its admin secret: `admin_secret` of `conf`, else the
    variable OIO_ADMIN_SECRET.
    """

    def __init__(
        self,
        conf: Mapping[str, Any],
        request_prefix: str = "",
        no_ns_in_url: bool = False,
        endpoint: str | None = None,
        request_attempts: int = 1,
        logger: Any = None,
        **kwargs: Any,
    ) -> None:
        if request_attempts < 1:
            raise ValueError(f"request_attempts {request_attempts}: a number from 1 on is expected")
        self.ns = validate_service_conf(conf)
        self.conf = conf
        where = endpoint or conf.get("proxyd_url") or load_namespace_conf(self.ns)["proxy"]
        parts = [_split(one.strip()) for one in str(where).split(";") if one.strip()]
        self.proxy_scheme, self.proxy_netloc = parts[0]
        path = "/".join(
            filter(None, (API_VERSION, "" if no_ns_in_url else self.ns, request_prefix.strip("/")))
        )
        endpoints = ";".join(f"{scheme}://{netloc}/{path}" for scheme, netloc in parts)
        self._proxies = str(where)
        self._request_attempts = request_attempts
        super().__init__(
            endpoint=endpoints, service_type="proxy", logger=logger or get_logger(dict(conf)), **kwargs
        )
        self.admin_secret = str(conf.get("admin_secret") or os.environ.get("OIO_ADMIN_SECRET", ""))

    def _request(
        self, method: str, url: str, endpoint: str | None = None, **kwargs: Any
    ) -> tuple[Response | None, Any]:
        """As `HttpApi._request`, and again while the proxy is busy.

        `(None, None)` when a repeated POST finds that it was carried out before.
        """
        attempts = int(kwargs.pop("request_attempts", None) or self._request_attempts)
        for attempt in range(attempts):
            try:
                return super()._request(method, url, endpoint=endpoint, **kwargs)
            except ServiceBusy:
                if attempt + 1 == attempts:
                    raise
                time.sleep(random.randrange(1 << min(attempt, MAX_EXPONENT)) * PAUSE)
            except Conflict:
                if attempt == 0 or method.upper() != "POST":
                    raise
                return None, None
        raise AssertionError("unreachable")

    def _sharing(self) -> dict[str, Any]:
        """Keywords that let another client use this one's proxy and connections."""
        return {
            "endpoint": self._proxies,
            "pool_manager": self.pool_manager,
            "logger": self.logger,
            "admin_mode": self.admin_mode,
            "force_master": self.force_master,
        }


def _split(where: str) -> tuple[str, str]:
    scheme, separator, rest = where.rpartition("://")
    return (scheme if separator else "http"), rest.split("/", 1)[0]
