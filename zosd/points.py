"""Named points of the daemon's life, at which tests watch it or kill it.

No code announces points by hand: the journal announces every commit, and `observed` wraps every verb of a
provisioner.  A point is a text such as `journal.accept.commit`, `journal.accept.done`, `zmachine.provision.begin`
or `zmachine.provision.end`.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from provisioners.protocol import Provisioner

Hook = Callable[[str], None]
"""Called with the point's name, in the thread that reached it.  May raise or end the process."""

VERBS = ("provision", "update", "pause", "resume", "deprovision", "recover", "inventory")


def nothing(point: str) -> None:
    """The hook of a daemon that nobody watches."""


def kill_at(wanted: str) -> Hook:
    """A hook that ends the process with SIGKILL at `<point>` or at the n-th time of `<point>#<n>`.

    Raises ValueError when n is not a positive number.
    """
    name, _, count = wanted.partition("#")
    left = int(count) if count else 1
    if left < 1:
        raise ValueError(f"kill point {wanted!r}: the number after '#' counts from 1")

    def hook(point: str) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def record_to(path: Path) -> Hook:
    """A hook that appends every point to a file, one a line."""

    def hook(point: str) -> None:
        with path.open("a") as file:
            file.write(point + "\n")

    return hook


def both(first: Hook, second: Hook) -> Hook:
    def hook(point: str) -> None:
        first(point)
        second(point)

    return hook


def observed(provisioner: Provisioner, hook: Hook) -> Provisioner:
    """The same provisioner, announcing `<type>.<verb>.begin` and `<type>.<verb>.end`.

    An optional verb that the provisioner lacks is lacking here too.
    """
    return cast(Provisioner, _Observed(provisioner, hook))


class _Observed:
    def __init__(self, inner: Provisioner, hook: Hook) -> None:
        self._inner = inner
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name not in VERBS:
            return attribute
        return self._announcing(name, attribute)

    def _announcing(self, verb: str, act: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        point = f"{self._inner.type.value}.{verb}"

        @functools.wraps(act)
        async def call(*arguments: Any) -> Any:
            self._hook(f"{point}.begin")
            result = await act(*arguments)
            self._hook(f"{point}.end")
            return result

        return call
