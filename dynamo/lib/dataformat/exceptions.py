"""Errors of the inventory and its servers."""

from __future__ import annotations


class DynamoError(Exception):
    """Root of all errors that this package raises on purpose."""


class ObjectError(DynamoError):
    """An object is unknown, or cannot exist as described."""


class IntegrityError(DynamoError):
    """Parts of the inventory contradict each other."""


class ConfigurationError(DynamoError):
    """A configuration, a policy or a definition file is wrong."""


class OperationalError(DynamoError):
    """Something that was asked for cannot be done here and now."""
