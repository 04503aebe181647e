"""Errors of the package, and how an answer of the proxy becomes one. Names and hierarchy are those of OpenIO SDS."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol


class Answer(Protocol):
    """What is read of an HTTP answer."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def reason(self) -> str | None:
        """Reason phrase."""


class OioException(Exception):
    """Any error of the package or of the services."""


class ConfigurationException(OioException):
    """A setting is missing or cannot be."""


class PreconditionFailed(OioException):
    """What was asked for cannot be done in the present state; nothing was changed."""


class VolumeException(OioException):
    """A volume has no reverse index, or is none."""


class ServiceUnavailable(OioException):
    """No service can do it now."""


class RetryLater(OioException):
    """An item of a tool should be tried again later."""


class NoSuchReference(OioException):
    """The reference does not exist."""


class InvalidServiceConfigError(ValueError):
    """The configuration of a client or daemon lacks something."""

    def __str__(self) -> str:
        return "namespace missing from service conf"


class OioNetworkException(OioException):
    """A service could not be reached. The first arguments are `reqid=…, host=…` as far as they are known."""


class OioTimeout(OioNetworkException):
    """A service did not answer in time."""


class OioProtocolError(OioNetworkException):
    """A service answered something that is not HTTP, or broke off."""


class StatusMessageException(OioException):
    """An answer with an HTTP status, a status of the services, and a message."""

    def __init__(self, http_status: int, status: Any = None, message: str | None = None) -> None:
        super().__init__(http_status, message, status)
        self.http_status = http_status
        self.status = status
        self.message = message or "n/a"

    def __str__(self) -> str:
        text = f"{self.message} (HTTP {self.http_status})"
        return text if self.status is None else f"{text} (STATUS {self.status})"


class ClientException(StatusMessageException):
    """A status from 400 on."""


class BadRequest(ClientException):
    """400: the request is malformed."""

    def __init__(self, http_status: int = 400, status: Any = None, message: str | None = None) -> None:
        super().__init__(http_status, status, message)


class Forbidden(ClientException):
    """403: not allowed in the present state."""

    def __init__(self, http_status: int = 403, status: Any = None, message: str | None = None) -> None:
        super().__init__(http_status, status, message)


class NotFound(ClientException):
    """404: no such thing."""

    def __init__(self, http_status: int = 404, status: Any = None, message: str | None = None) -> None:
        super().__init__(http_status, status, message)


class MethodNotAllowed(ClientException):
    """405: the service does not know this method."""

    def __init__(self, http_status: int = 405, status: Any = None, message: str | None = None) -> None:
        super().__init__(http_status, status, message)


class Conflict(ClientException):
    """409: it exists already, or was changed meanwhile."""

    def __init__(self, http_status: int = 409, status: Any = None, message: str | None = None) -> None:
        super().__init__(http_status, status, message)


class ClientPreconditionFailed(ClientException):
    """412: a condition of the request does not hold."""

    def __init__(self, http_status: int = 412, status: Any = None, message: str | None = None) -> None:
        super().__init__(http_status, status, message)


class TooLarge(ClientException):
    """413: the body is too large."""

    def __init__(self, http_status: int = 413, status: Any = None, message: str | None = None) -> None:
        super().__init__(http_status, status, message)


class UnsatisfiableRange(ClientException):
    """416: no such range."""

    def __init__(self, http_status: int = 416, status: Any = None, message: str | None = None) -> None:
        super().__init__(http_status, status, message)


class ServiceBusy(ClientException):
    """503: no service could do it; trying again may help."""

    def __init__(
        self, http_status: int = 503, status: Any = None, message: str | None = None, body: Any = None
    ) -> None:
        super().__init__(http_status, status, message)
        self.body = body


_BY_STATUS: dict[int, type[ClientException]] = {
    400: BadRequest,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    412: ClientPreconditionFailed,
    413: TooLarge,
    416: UnsatisfiableRange,
    503: ServiceBusy,
}


def from_status(status: int, reason: str | None = "n/a") -> ClientException:
    """The error for an HTTP status without a body."""
    return _BY_STATUS.get(status, ClientException)(status, None, reason)


def from_response(resp: Answer, body: Any = None) -> ClientException:
    """The error for an answer; a JSON object `{"status", "message"}` as body says more than the status line."""
    kind = _BY_STATUS.get(resp.status, ClientException)
    if not body:
        return kind(resp.status, resp.reason)
    if isinstance(body, Mapping):
        return kind(resp.status, body.get("status"), body.get("message"))
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    return kind(resp.status, None, text)


def from_multi_responses(data: Mapping[str, Any], excepted_status: Collection[int] = (200,)) -> None:
    """Raise OioException with one error for each peer whose status is not among `excepted_status`."""
    errors = []
    for peer, answer in data.items():
        status = answer["status"]
        if status["status"] not in excepted_status:
            errors.append(f"{peer}: {status['message']} (STATUS {status['status']})")
    if errors:
        raise OioException(errors)
