"""Status codes of the directory and the HTTP status that each becomes at the proxy (OpenIO SDS numbering)."""

from __future__ import annotations

from typing import Final

OK: Final = 200
REFUSED: Final = 2
RESET: Final = 3
CONNECT_TIMEOUT: Final = 5
NO_ROUTE: Final = 6
READ_TIMEOUT: Final = 7
AVOIDED: Final = 8
NETWORK: Final = 9
NOT_SLAVE: Final = 301
REDIRECT: Final = 303
TOO_MANY_REDIRECTS: Final = 305
BAD_REQUEST: Final = 400
NOT_ALLOWED: Final = 403
NOT_FOUND: Final = 404
USER_NOT_FOUND: Final = 406
USER_IN_USE: Final = 407
CONTENT_NOT_FOUND: Final = 420
EXISTS: Final = 421
BASE_NOT_FOUND: Final = 431
CONTAINER_EXISTS: Final = 433
FROZEN: Final = 436
RANGE_NOT_MANAGED: Final = 450
TYPE_NOT_MANAGED: Final = 453
NOT_LINKED: Final = 454
ALREADY_LINKED: Final = 455
IS_MASTER: Final = 473
POLICY_UNKNOWN: Final = 480
POLICY_UNSATISFIABLE: Final = 481
UNAVAILABLE: Final = 503
GATEWAY_TIMEOUT: Final = 504
BUSY: Final = 509
CORRUPT: Final = 511

NETWORK_STATUSES: Final = frozenset({2, 3, 4, 5, 6, 7, 8, 9})
"""What a caller sees when a peer could not be asked at all."""

_HTTP: Final = {
    400: 400, 403: 403, 404: 404, 405: 405, 406: 404, 407: 403, 418: 404, 420: 404, 421: 409, 424: 409, 431: 404,
    433: 409, 436: 503, 453: 404, 454: 404, 455: 403, 480: 400, 481: 503, 305: 503, 413: 413,
    503: 503, 504: 503, 509: 503, 511: 503,
}  # fmt: skip
_REASONS: Final = {
    200: "OK", 201: "Created", 202: "Already Accepted", 204: "No Content", 400: "Bad request", 403: "Forbidden",
    404: "Not found", 405: "Method not allowed", 409: "Conflict", 413: "Too large", 500: "Internal error",
    503: "Service unavailable", 504: "Gateway timeout",
}  # fmt: skip


class ServiceError(Exception):
    """An answer that is not a success: `status` is a code of the directory, `message` the text for people,
    `body` what a machine needs besides."""

    def __init__(self, status: int, message: str, body: object = None) -> None:
        super().__init__(f"({status}) {message}")
        self.status = status
        self.message = message
        self.body = body

    def prefixed(self, prefix: str) -> ServiceError:
        """The same error with `prefix` before its message."""
        return ServiceError(self.status, prefix + self.message, self.body)


def http_status(status: int) -> int:
    """HTTP status of the answer that carries `status`."""
    if status in NETWORK_STATUSES:
        return 503
    return _HTTP.get(status, 500)


def reason(http: int) -> str:
    """Reason phrase as the services of OpenIO SDS write it."""
    return _REASONS.get(http, "Unknown")
