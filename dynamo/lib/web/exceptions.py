"""What a web module raises to answer with an error."""

from __future__ import annotations

from collections.abc import Sequence


class WebError(Exception):
    """An answer with an error.  `status` is that of HTTP."""

    status = 400

    @property
    def text(self) -> str:
        """What the client is told."""
        return f"{self}.\n" if str(self) else f"{type(self).__name__}\n"


class MissingParameter(WebError):
    """A parameter that is needed was not given."""

    def __init__(self, name: str, context: str | None = None) -> None:
        where = f" in {context}" if context else ""
        super().__init__(f'Missing required parameter "{name}"{where}')


class ExtraParameter(WebError):
    """Parameters that mean nothing here were given."""

    def __init__(self, name: str | Sequence[str]) -> None:
        if isinstance(name, str):
            super().__init__(f'Parameter "{name}" not expected')
        else:
            super().__init__(f"Parameters {list(name)!r} not expected")


class IllFormedRequest(WebError):
    """A parameter has a value that it cannot have."""

    def __init__(
        self, name: str, value: object, hint: str | None = None, allowed: Sequence[str] | None = None
    ) -> None:
        super().__init__(f'Parameter "{name}" has illegal value "{value}".')
        self._hint = hint
        self._allowed = allowed

    @property
    def text(self) -> str:
        """What the client is told."""
        text = str(self)
        if self._hint:
            text += f" {self._hint}."
        if self._allowed is not None:
            quoted = [f'"{word}"' for word in self._allowed]
            text += f" Allowed values: [{quoted!r}]"
        return text + "\n"


class InvalidRequest(WebError):
    """The request makes no sense, for the reason given."""


class AuthorizationError(WebError):
    """The caller may not do this."""

    status = 403

    @property
    def text(self) -> str:
        """What the client is told."""
        return "User not authorized to perform the request.\n"


class ResponseDenied(WebError):
    """The request is understood and not answered, for the reason given."""


class TryAgain(WebError):
    """The server cannot answer now."""

    status = 503

    @property
    def text(self) -> str:
        """What the client is told."""
        return "Server temporarily not available. Please try again in a few moments."
