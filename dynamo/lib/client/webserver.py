"""Calls to a web server of the fleet, with the user's certificate."""

from __future__ import annotations

import json
import os
import ssl
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import urllib3

from dynamo.client.connection import default_certificate, server_address
from dynamo.dataformat import OperationalError

ANSWER_S = 300.0
"""How long to wait for an answer, in seconds."""
BUSY_S = 2.0
"""How long to wait before a busy server is asked again, in seconds."""
BUSY_TRIES = 30


class WebServer:
    """One web server.

    `host` is HOST[:PORT], by default `DYNAMO_WEB_HOST`, else the host of `DYNAMO_SERVER_HOST`, whose port is that of
    the application server.
    """

    def __init__(self, host: str | None, cert: str | None, key: str | None, ca: str | None) -> None:
        """Raises OperationalError when the certificate cannot be used."""
        self.where = host or os.environ.get("DYNAMO_WEB_HOST") or server_address(None)[0]
        try:
            self._context = ssl.create_default_context(cafile=ca)
            self._context.load_cert_chain(cert or default_certificate(), key)
        except (OSError, ssl.SSLError) as error:
            raise OperationalError(f"The certificates cannot be used: {error}") from None

    def post(self, path: str, data: Any) -> Any:
        """The answer to data in JSON.  Raises OperationalError for any that is not 200."""
        return self._ask("POST", path, json.dumps(data).encode(), "application/json")

    def post_form(self, path: str, fields: Sequence[tuple[str, str | int]]) -> Any:
        """The answer to a form."""
        return self._ask("POST", path, urlencode(fields).encode(), "application/x-www-form-urlencoded")

    def get(self, path: str, fields: Sequence[tuple[str, str | int]]) -> Any:
        """The answer to a query."""
        return self._ask("GET", f"{path}?{urlencode(fields)}", None, None)

    def _ask(self, method: str, path: str, body: bytes | None, kind: str | None) -> Any:
        headers = {} if kind is None else {"Content-Type": kind}
        try:
            with urllib3.PoolManager(ssl_context=self._context, retries=False, timeout=ANSWER_S) as pool:
                for left in range(BUSY_TRIES, 0, -1):
                    answer = pool.request(
                        method, f"https://{self.where}/data/{path}", body=body, headers=headers
                    )
                    if answer.status != 503 or left == 1:
                        break
                    time.sleep(BUSY_S)
            value = json.loads(answer.data)
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            raise OperationalError(f"{self.where} does not answer: {error}") from None
        if answer.status != 200:
            raise OperationalError(
                f"{self.where} refuses ({answer.status}): {str(value.get('message')).strip()}"
            )
        return value
