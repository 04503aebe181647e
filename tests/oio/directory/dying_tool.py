"""A tool that kills itself at one of its steps: `python -m tests.oio.directory.dying_tool STEP PROGRAM ARGUMENT…`.

A step is a request to the proxy, or an entry in a journal, before and after it. PROGRAM is `openio`, `openio-admin`,
or `apply SOURCE BASE` for a mapping that is changed and applied without a journal.
"""

from __future__ import annotations

import functools
import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from oio.api.base import HttpApi
from oio.cli import openio, openio_admin
from oio.cli.session import run
from oio.directory.meta0 import Meta0Client, Meta0PrefixMapping
from oio.directory.relocation import Journal


def mortal(step: int) -> None:
    """Have this process die there."""
    numbers = itertools.count(1)

    def tick() -> None:
        if next(numbers) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(act: Callable[..., Any], after: bool) -> Callable[..., Any]:
        @functools.wraps(act)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            tick()
            result = act(*args, **kwargs)
            if after:
                tick()
            return result

        return wrapped

    for holder, name, after in (
        (HttpApi, "_direct_request", False),
        (Journal, "plan", True),
        (Journal, "note", True),
    ):
        setattr(holder, name, dying(getattr(holder, name), after))


def apply(source: str, base: str) -> None:
    """Give a base of `source` to another service, without a journal; ends with 1 when it could not be copied now."""
    mapping = Meta0PrefixMapping(Meta0Client({"namespace": "OPENIO"}), digits=1)
    mapping.load_meta0()
    moved = mapping.decommission(source, [base])
    if not moved <= set(mapping.apply(moved, request_attempts=6)):
        sys.exit(1)


if __name__ == "__main__":
    mortal(int(sys.argv[1]))
    program, arguments = sys.argv[2], sys.argv[3:]
    if program == "apply":
        apply(*arguments)
    else:
        sys.argv = [program, *arguments]
        run({"openio": openio.app, "openio-admin": openio_admin.app}[program], program)
