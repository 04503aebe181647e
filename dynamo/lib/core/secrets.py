"""Passwords of this server, which must not be found in the memory of programs that it forks.

What configurations hold is copied once and remembered here; connections to databases add their own form.  A child
overwrites all of it where it lies, so that no object that it inherited shows it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

_known: dict[int, str | bytes] = {}

_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM")
_KEPT_BEGINS = ("LC_", "PYTHON")
_BYTES_AT = sys.getsizeof(b"") - 1
_ASCII_AT = sys.getsizeof("") - 1
_WIDE_AT = sys.getsizeof(chr(0xE9)) - 2


def remembered(value: Any, is_secret: bool = False) -> Any:
    """The same configuration, in which texts under keys with `pass` are copies that belong to nobody else."""
    if isinstance(value, dict):
        return {key: remembered(item, "pass" in str(key).lower()) for key, item in value.items()}
    if isinstance(value, list):
        return [remembered(item, is_secret) for item in value]
    if is_secret and isinstance(value, str) and len(value) > 1:
        return remember("".join(list(value)))
    return value


def remember(value: Any) -> Any:
    """Note a text or bytes that nobody else uses."""
    if isinstance(value, str | bytes) and len(value) > 1:
        _known[id(value)] = value
    return value


def wipe() -> None:
    """Overwrite all that is known, and keep only what programs need of the environment."""
    for value in _known.values():
        _overwrite(value)
    _known.clear()
    for name in list(os.environ):
        if name not in _KEPT and not name.startswith(_KEPT_BEGINS):
            del os.environ[name]


def _overwrite(value: str | bytes) -> None:
    if isinstance(value, bytes):
        ctypes.memset(id(value) + _BYTES_AT, 0, len(value))
    elif value.isascii():
        ctypes.memset(id(value) + _ASCII_AT, 0, len(value))
    else:
        widest = ord(max(value))
        width = 1 if widest < 256 else 2 if widest < 65536 else 4
        ctypes.memset(id(value) + _WIDE_AT, 0, len(value) * width)
