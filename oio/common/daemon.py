"""A process that runs until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final, TextIO

from oio.common.exceptions import ConfigurationException
from oio.common.logger import get_logger

DEFAULT_USER: Final = "openio"
ENDING: Final = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


class LogStream:
    """Takes what is printed and logs it, line by line."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def write(self, text: str) -> int:
        """Log the lines of a text."""
        for line in filter(None, (line.rstrip() for line in text.splitlines())):
            self._logger.info("%s", line)
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""


class Daemon(ABC):
    """`start` takes the process over and runs; `run` is what it does; `stop` makes `run` return."""

    def __init__(self, conf: Mapping[str, Any]) -> None:
        self.conf = conf
        self.logger = get_logger(conf)

    @abstractmethod
    def run(self, *args: Any, **kwargs: Any) -> None:
        """Work until `stop`."""

    @abstractmethod
    def stop(self) -> None:
        """Make `run` return. May be called from a signal handler."""

    def start(self, **kwargs: Any) -> None:
        """Become the user of the configuration (`user`, default `openio`), redirect output to the log, and run.

        ConfigurationException for a user that does not exist. SIGTERM, SIGQUIT and SIGINT end the process group, when
        it is this process's own, and the daemon.
        """
        self._drop_privileges()
        sys.stdout = _as_text(LogStream(self.logger))
        sys.stderr = _as_text(LogStream(self.logger))
        for number in ENDING:
            signal.signal(number, self._end)
        self.run(**kwargs)

    def _end(self, number: int, _frame: Any) -> None:
        for ending in ENDING:
            signal.signal(ending, signal.SIG_IGN)
        if os.getpgrp() == os.getpid():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(0, signal.SIGTERM)
        self.logger.info("ended by signal %d", number)
        self.stop()
        raise SystemExit(0)

    def _drop_privileges(self) -> None:
        name = self.conf.get("user")
        if os.geteuid() != 0:
            return
        try:
            entry = pwd.getpwnam(str(name or DEFAULT_USER))
        except KeyError as error:
            if name:
                raise ConfigurationException(
                    f"user {name!r} does not exist: create it or set another `user`"
                ) from error
            self.logger.warning("user %r does not exist: running as root", DEFAULT_USER)
            return
        if entry.pw_uid:
            os.setgroups(os.getgrouplist(entry.pw_name, entry.pw_gid))
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)


def _as_text(stream: Any) -> TextIO:
    found: TextIO = stream
    return found
