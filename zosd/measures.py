"""Figures of what the daemon does, for Prometheus: how long things take, and what went wrong.

One object for the daemon.  Everything may be told from the event loop or from the journal's thread.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

SHORT = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
LONG = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 900.0)
"""Seconds."""


class Measures:
    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._acts = Histogram(
            "zosd_act_seconds",
            "Time of one act on the machine, by verb and workload type",
            ["verb", "type"],
            buckets=LONG,
            registry=self.registry,
        )
        self._failures = Counter(
            "zosd_act_failures",
            "Acts that did not end well, by reason: failed, refused, waits, time, internal",
            ["verb", "type", "reason"],
            registry=self.registry,
        )
        self._accepted = Histogram(
            "zosd_accept_seconds",
            "Time of a deploy or update call, by its end: accepted, refused, failed",
            ["call", "end"],
            buckets=SHORT,
            registry=self.registry,
        )
        self._calls = Histogram(
            "zosd_command_seconds",
            "Time in which a command of the bus was answered",
            ["command", "end"],
            buckets=SHORT,
            registry=self.registry,
        )
        self._commits = Histogram(
            "zosd_journal_commit_seconds",
            "Time from the wish to write to its being on disk",
            ["name"],
            buckets=SHORT,
            registry=self.registry,
        )

    def act(self, verb: str, type: str, seconds: float, failure: str = "") -> None:
        """`failure`: why it did not end well, as one of a few words; "" when it did."""
        self._acts.labels(verb, type).observe(seconds)
        if failure:
            self._failures.labels(verb, type, failure).inc()

    def accepted(self, call: str, end: str, seconds: float) -> None:
        self._accepted.labels(call, end).observe(seconds)

    def answered(self, command: str, end: str, seconds: float) -> None:
        self._calls.labels(command, end).observe(seconds)

    def committed(self, name: str, seconds: float) -> None:
        self._commits.labels(name).observe(seconds)
