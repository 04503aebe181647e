"""What every test run shares: root tests skip with a reason, and compared vectors are counted at the end."""

from __future__ import annotations

import os
import signal

import pytest

from tests.shared import compared


def pytest_configure() -> None:
    """A run that is told to end cleans up as one that is interrupted."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="makes kernel objects: run as root")
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = compared()
    if counts:
        terminalreporter.section("compared with recorded cases")
        for name, count in sorted(counts.items()):
            terminalreporter.write_line(f"{count:6d}  {name}")
