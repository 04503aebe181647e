"""One HTTP request, and what comes of it: the base of all clients."""

from __future__ import annotations

import json as jsonlib
import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import urllib3
from urllib3 import exceptions as http_errors

from oio.common import exceptions
from oio.common.connection_pool import CONNECTION_TIMEOUT, READ_TIMEOUT, get_pool_manager
from oio.common.deadline import deadline_to_timeout
from oio.common.exceptions import OioException, OioNetworkException, OioProtocolError, OioTimeout
from oio.common.request_id import (
    ACTION_MODE_HEADER,
    ADMIN_HEADER,
    ADMIN_SECRET_HEADER,
    FORCEMASTER_HEADER,
    MAX_REQUEST_ID,
    PERFDATA_HEADER,
    REGION_HEADER,
    REQID_HEADER,
    TIMEOUT_HEADER,
)

log = logging.getLogger(__name__)

Response = urllib3.BaseHTTPResponse
DEADLINE_SHARE: Final = 990_000
"""Microseconds of every second left that the service is given: the rest is for the way back."""


class HttpApi:
    """Sends requests to `endpoint` (`http://host:port/path`; several separated by `;` are tried in turn).

    Safe for many threads. Keywords of a request that are not known here are ignored, because every method of every
    client hands down what it was given.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        pool_manager: urllib3.PoolManager | None = None,
        connection: str = "keep-alive",
        service_type: str = "unknown",
        **kwargs: Any,
    ) -> None:
        self.endpoint = endpoint
        self.pool_manager = pool_manager or get_pool_manager(**kwargs)
        self.connection = connection
        self.service_type = service_type
        self.admin_mode = bool(kwargs.get("admin_mode", False))
        self.force_master = bool(kwargs.get("force_master", False))
        self.admin_secret = ""
        self.logger: logging.Logger = kwargs.get("logger") or log

    def _direct_request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, Any] | None = None,
        data: str | bytes | None = None,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[Response, Any]:
        """Answer and body of a request to a whole URL.

        The body is decoded when the answer says that it is JSON, and bytes otherwise. A falsy `json` is not sent.
        Raises the ClientException of a status from 400 on, OioNetworkException, OioTimeout, OioProtocolError when there
        was no answer, OioException for a body that is not the JSON it says it is.
        """
        sent = {name: str(value) for name, value in (headers or {}).items() if value is not None}
        if json:
            data = jsonlib.dumps(json, separators=(",", ":"))
            sent.setdefault("Content-Type", "application/json")
        timeout, microseconds = _timeout(kwargs)
        self._add_headers(sent, microseconds, kwargs)
        values = {name: value for name, value in (params or {}).items() if value is not None}
        if values:
            url = f"{url}?{urlencode(values)}"
        pool: urllib3.PoolManager = kwargs.get("pool_manager") or self.pool_manager
        body = data.encode("utf-8") if isinstance(data, str) else data
        try:
            resp = pool.request(method, url, headers=sent, body=body, timeout=timeout, redirect=False)
        except http_errors.HTTPError as error:
            raise _network_error(error, sent.get(REQID_HEADER), url) from error
        _collect_perfdata(resp, self.service_type, kwargs.get("perfdata"))
        decoded = _decoded(resp)
        if resp.status >= 400:
            raise exceptions.from_response(resp, decoded)
        return resp, decoded

    def _add_headers(self, sent: dict[str, str], microseconds: int, kwargs: Mapping[str, Any]) -> None:
        known = {name.lower() for name in sent}
        reqid = kwargs.get("reqid")
        if reqid and REQID_HEADER not in known:
            sent[REQID_HEADER] = str(reqid)
        for name in [name for name in sent if name.lower() == REQID_HEADER]:
            if len(sent[name]) > MAX_REQUEST_ID:
                self.logger.warning("Request ID truncated to %d characters", MAX_REQUEST_ID)
                sent[name] = sent[name][:MAX_REQUEST_ID]
        sent.setdefault(TIMEOUT_HEADER, str(microseconds))
        if kwargs.get("autocreate"):
            sent.setdefault(ACTION_MODE_HEADER, "autocreate")
        if kwargs.get("admin_mode", False) or self.admin_mode:
            sent[ADMIN_HEADER] = "1"
        if self.admin_secret:
            sent.setdefault(ADMIN_SECRET_HEADER, self.admin_secret)
        if kwargs.get("force_master", False) or self.force_master:
            sent[FORCEMASTER_HEADER] = "1"
        if kwargs.get("region"):
            sent.setdefault(REGION_HEADER, str(kwargs["region"]))
        if kwargs.get("perfdata") is not None:
            sent[PERFDATA_HEADER] = "enabled"
        sent.setdefault("Connection", self.connection)

    def _request(
        self, method: str, url: str, endpoint: str | None = None, **kwargs: Any
    ) -> tuple[Response | None, Any]:
        """Answer and body of a request below the endpoint; the next endpoint is tried when one cannot be connected to.

        ValueError without an endpoint; otherwise as `_direct_request`.
        """
        endpoints = [one.strip() for one in (endpoint or self.endpoint or "").split(";") if one.strip()]
        if not endpoints:
            raise ValueError("endpoint not set in function call nor in class constructor")
        for number, one in enumerate(endpoints, start=1):
            try:
                return self._direct_request(method, f"{one.rstrip('/')}/{url.lstrip('/')}", **kwargs)
            except OioNetworkException as error:
                connecting = (http_errors.NewConnectionError, http_errors.ConnectTimeoutError)
                if number == len(endpoints) or not isinstance(_cause(error.__cause__), connecting):
                    raise
        raise AssertionError("unreachable")


def _timeout(kwargs: Mapping[str, Any]) -> tuple[urllib3.Timeout, int]:
    """Time limits of a request, and what the service is told of them (microseconds); OioTimeout after the deadline."""
    given, deadline = kwargs.get("timeout"), kwargs.get("deadline")
    connect = float(kwargs.get("connection_timeout") or CONNECTION_TIMEOUT)
    if deadline is not None:
        left = deadline_to_timeout(float(deadline), check=True)
        return urllib3.Timeout(connect=min(connect, left), read=left), int(left * DEADLINE_SHARE)
    if isinstance(given, urllib3.Timeout):
        seconds = given.read_timeout
        read = float(seconds) if isinstance(seconds, int | float) else READ_TIMEOUT
        return given, int(read * 1_000_000)
    read = float(given or kwargs.get("read_timeout") or READ_TIMEOUT)
    return urllib3.Timeout(connect=connect, read=read), int(read * 1_000_000)


def _decoded(resp: Response) -> Any:
    if resp.headers.get("Content-Type") != "application/json":
        return resp.data
    try:
        return jsonlib.loads(resp.data.decode("utf-8")) if resp.data else resp.data
    except ValueError as error:
        raise OioException("Response body isn't decodable JSON") from error


def _collect_perfdata(resp: Response, service_type: str, perfdata: dict[str, Any] | None) -> None:
    """Add the seconds that the answer tells (`name=microseconds,…`) to the caller's dictionary."""
    text = resp.headers.get(PERFDATA_HEADER)
    if perfdata is None or not text:
        return
    seconds = perfdata.setdefault(service_type, {})
    for item in text.split(","):
        name, _, value = item.partition("=")
        if value.strip().isdigit():
            seconds[name.strip()] = seconds.get(name.strip(), 0.0) + int(value) / 1e6


def _cause(error: BaseException | None) -> BaseException | None:
    while isinstance(error, http_errors.MaxRetryError) and error.reason is not None:
        error = error.reason
    return error


def _network_error(error: http_errors.HTTPError, reqid: str | None, url: str) -> OioNetworkException:
    cause = _cause(error) or error
    host = urllib3.util.parse_url(url).netloc
    where = f"host={host}" if reqid is None else f"reqid={reqid}, host={host}"
    kind = OioNetworkException
    if isinstance(cause, http_errors.TimeoutError) and not isinstance(cause, http_errors.NewConnectionError):
        kind = OioTimeout
    elif isinstance(cause, http_errors.ProtocolError | http_errors.ResponseError):
        kind = OioProtocolError
    return kind(where, str(cause))
