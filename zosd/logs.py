"""Log output: for people on a terminal, one JSON object a line elsewhere."""

from __future__ import annotations

import logging
import sys

import structlog

from zosd.config import LogSection


def set_up(section: LogSection) -> None:
    """Send structlog's and the libraries' own messages to stderr in one form."""
    level = logging.getLevelNamesMapping()[section.level.upper()]
    people = sys.stderr.isatty() and not section.json_lines
    shared: list[structlog.types.Processor] = [
        # Deployment, workload, twin: bound once by whoever works on them.
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    final: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if people
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
