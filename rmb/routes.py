"""A tree of commands: which handler answers, and whom it has to pass before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rmb.request import Request

Handler = Callable[[Request], Awaitable[Any]]
"""Returns something that JSON can express (or bytes: JSON already made; None: `null`)."""
Middleware = Callable[[Request], Awaitable[None]]
"""Runs before the look-up on its level; raises HandlerError to refuse."""


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a command through the tree."""

    middlewares: tuple[Middleware, ...]
    handler: Handler | None
    """None: nobody answers this command; the middlewares still come first."""


class Routes:
    """One level of the tree: handlers by dotted name, children by one name segment."""

    def __init__(self) -> None:
        self._middlewares: list[Middleware] = []
        self._handlers: dict[str, Handler] = {}
        self._children: dict[str, Routes] = {}

    def subroute(self, name: str) -> Routes:
        """The level below `name`; made when it does not exist yet."""
        if not name or "." in name:
            raise ValueError(f"sub-route {name!r}: expected one name segment without a dot")
        return self._children.setdefault(name, Routes())

    def use(self, middleware: Middleware) -> None:
        """Let `middleware` see every request of this level and below, in the order of registration."""
        self._middlewares.append(middleware)

    def handle(self, name: str, handler: Handler) -> None:
        """Answer the command `name`, counted from this level; it may contain dots."""
        if not name:
            raise ValueError("a command has a name")
        if name in self._handlers:
            raise ValueError(f"command {name} has a handler already")
        self._handlers[name] = handler

    def resolve(self, command: str) -> Route:
        """Find the way of `command`: the whole remaining name first, else down by its first segment."""
        level, rest = self, command
        passed: list[Middleware] = []
        while True:
            passed += level._middlewares
            if (handler := level._handlers.get(rest)) is not None:
                return Route(tuple(passed), handler)
            segment, dot, rest_below = rest.partition(".")
            child = level._children.get(segment) if dot else None
            if child is None:
                return Route(tuple(passed), None)
            level, rest = child, rest_below

    def commands(self) -> Iterator[str]:
        """Full names of everything that has a handler."""
        yield from self._handlers
        for name, child in self._children.items():
            for command in child.commands():
                yield f"{name}.{command}"
