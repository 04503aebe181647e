"""What every command of `zos` does with a result and with an error."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, NoReturn

import structlog
import typer

LEAST_LEVEL = logging.WARNING


def keep_libraries_quiet() -> None:
    """Let what libraries log come to standard error, and only when something is wrong."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(LEAST_LEVEL),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def fail(reason: object, code: int = 1) -> NoReturn:
    """End the program with one line on standard error."""
    print(f"zos: {one_line(reason)}", file=sys.stderr)
    raise typer.Exit(code)


def one_line(reason: object) -> str:
    """One line, and nothing that a terminal would obey: parts of it come from nodes."""
    return " ".join("".join(each if each.isprintable() else " " for each in str(reason)).split())


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    print(json.dumps(value), flush=True)
