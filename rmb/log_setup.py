"""How a program of ours logs: readable on a terminal, one JSON object a line elsewhere; always on stderr."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog


def configure(level: str = "info", format: Literal["auto", "console", "json"] = "auto") -> None:
    """Set up structlog, and let the standard library's loggers go the same way."""
    threshold = getattr(logging, level.upper())
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if format == "console" or (format == "auto" and sys.stderr.isatty()):
        renderer = structlog.dev.ConsoleRenderer()
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    final: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if isinstance(renderer, structlog.processors.JSONRenderer):
        final.append(structlog.processors.format_exc_info)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*final, renderer])
    )
    logging.basicConfig(level=threshold, handlers=[handler], force=True)
