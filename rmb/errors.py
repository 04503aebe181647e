"""What can go wrong on the bus, as its users see it."""

from __future__ import annotations


class RmbError(Exception):
    """Base of everything that this package raises on purpose."""


class BusUnavailable(RmbError):
    """The local Redis cannot be reached or does not answer; nothing is known about the call."""


class CallTimeout(RmbError):
    """No answer came within the call's lifetime.  The other side may or may not have done the work."""


class NotDelivered(RmbError):
    """The local peer could not hand the request to the other twin's peer; `str(e)` is its reason."""


class RemoteError(RmbError):
    """The other side answered with an error; `str(e)` is its text, unchanged."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidAnswer(RmbError):
    """The other side answered with something that is not an answer (no base64, no JSON, nothing at all)."""


class HandlerError(RmbError):
    """Raised by a handler or middleware to refuse a request; `str(e)` becomes the caller's error text."""


class MessageError(RmbError, ValueError):
    """Bytes that are not a message of the bus."""


class SignatureError(RmbError, ValueError):
    """A signature is missing, malformed or does not fit."""


class SettingsError(RmbError, ValueError):
    """A configuration file or environment variable cannot be used; `str(e)` names key, value and remedy."""
