"""What a program of the fleet imports: `from dynamo.core.executable import inventory`.

A server fills this in before it runs a program.  Elsewhere `inventory` is an empty one, so that programs can be
tried out.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from dynamo.core.objectrepository import ObjectRepository
from dynamo.core.registry.access import Registry

if TYPE_CHECKING:
    from dynamo.core.authorizer import Authorizer

inventory: ObjectRepository = ObjectRepository()
"""The inventory."""

read_only: bool = True
"""Are changes thrown away?"""

authorized: bool = False
"""Has the program full credentials for tools?"""

authorizer: Authorizer | None = None
"""Finds users and their rights; None outside a server."""


registry: Registry = Registry()
"""Requests, locks, history and file operations."""


def make_standard_logger(level: str) -> logging.Logger:
    """The root logger, which prints what has at least this level to stdout, and errors to stderr as well.

    Raises ValueError for an unknown level.
    """
    root = logging.getLogger()
    root.handlers.clear()
    root.setLevel(level.upper())
    for stream, least in ((sys.stdout, logging.NOTSET), (sys.stderr, logging.ERROR)):
        handler = logging.StreamHandler(stream)
        handler.setLevel(least)
        handler.setFormatter(logging.Formatter("%(asctime)s:%(levelname)s:%(name)s: %(message)s"))
        root.addHandler(handler)
    return root
