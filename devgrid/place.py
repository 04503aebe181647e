"""Where a part of the grid runs: how a command gets there, and where its files are seen from here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from devgrid.namespaces import NodeNamespace


class Place(Protocol):
    """Somewhere to run commands."""

    def command(self, words: Sequence[str]) -> tuple[str, ...]:
        """The command that runs `words` there."""
        ...

    def path(self, inside: Path) -> Path:
        """A path of that place, as the supervisor sees it."""
        ...


class Here:
    """The supervisor's own namespaces.  What runs here dies with the supervisor."""

    def command(self, words: Sequence[str]) -> tuple[str, ...]:
        return ("setpriv", "--pdeathsig", "KILL", "--", *words)

    def path(self, inside: Path) -> Path:
        return inside


class Network:
    """A named network namespace; file system as here."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def command(self, words: Sequence[str]) -> tuple[str, ...]:
        return ("nsenter", f"--net=/run/netns/{self.namespace}", "--", *words)

    def path(self, inside: Path) -> Path:
        return inside


class Node:
    """A node's namespaces, once they are there."""

    def __init__(self) -> None:
        self.namespace: NodeNamespace | None = None

    def _made(self) -> NodeNamespace:
        if self.namespace is None:
            raise LookupError("this node has no namespaces yet")
        return self.namespace

    def command(self, words: Sequence[str]) -> tuple[str, ...]:
        return self._made().command(*words)

    def path(self, inside: Path) -> Path:
        return Path(self._made().path(str(inside)))
