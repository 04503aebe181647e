"""Figures for Prometheus, served when an address is configured."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from zosd.journal.journal import Journal
from zosd.watchdog import Watchdog


class NodeCollector(Collector):
    def __init__(self, journal: Journal, watchdog: Watchdog) -> None:
        self._journal = journal
        self._watchdog = watchdog

    def collect(self) -> Iterator[Metric]:
        ledger = self._journal.ledger
        yield GaugeMetricFamily(
            "zosd_oldest_job_seconds", "Age of the oldest job", value=self._watchdog.oldest()
        )
        yield GaugeMetricFamily("zosd_jobs", "Deployments not at their goal", value=self._watchdog.count())
        yield GaugeMetricFamily("zosd_deployments", "Deployments in the journal", value=len(ledger))
        states: dict[str, int] = {}
        for record in list(ledger.all()):
            for workload in record.workloads:
                state = workload.result.state.value
                states[state] = states.get(state, 0) + 1
        family = GaugeMetricFamily("zosd_workloads", "Workloads by state", labels=["state"])
        for state, count in sorted(states.items()):
            family.add_metric([state], count)
        yield family


def serve(listen: str, journal: Journal, watchdog: Watchdog) -> None:
    """Serve on `address:port` from a thread of its own.  Raises OSError, ValueError for a bad address."""
    address, _, port = listen.rpartition(":")
    if not address or not port.isdigit():
        raise ValueError(f"[metrics] listen = {listen!r} is not address:port")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(journal, watchdog))
    start_http_server(int(port), addr=address, registry=registry)
