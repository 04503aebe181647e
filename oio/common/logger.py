"""Loggers of clients, tools and daemons."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from logging.handlers import SysLogHandler
from typing import Any, Final

LEVELS: Final = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}
FORMAT: Final = "%(asctime)s %(process)d %(threadName)s %(levelname)s %(message)s"


def get_logger(
    conf: Mapping[str, Any] | None = None, name: str | None = None, verbose: bool = False
) -> logging.Logger:
    """The logger `name`; set up when the configuration says where to: `log_level`, `log_facility`, `log_address`.

    With `log_address` (a socket's path) it writes to syslog. `verbose` writes to the standard error stream.
    ConfigurationException is not raised: an unknown level counts as INFO.
    """
    conf = conf or {}
    logger = logging.getLogger(name or conf.get("log_name", "oio"))
    if conf.get("log_level"):
        logger.setLevel(LEVELS.get(str(conf["log_level"]).upper(), logging.INFO))
    if logger.handlers:
        return logger
    if conf.get("log_address"):
        facility = getattr(
            SysLogHandler, str(conf.get("log_facility", "LOG_LOCAL0")), SysLogHandler.LOG_LOCAL0
        )
        logger.addHandler(SysLogHandler(address=str(conf["log_address"]), facility=facility))
    if verbose:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(FORMAT))
        logger.addHandler(handler)
    return logger
