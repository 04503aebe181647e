"""Figures for Prometheus, served when an address is configured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from wsgiref.simple_server import WSGIServer

from prometheus_client import start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from zosd.chainlife.look import ChainSight
from zosd.engine.engine import Engine
from zosd.journal.journal import Journal
from zosd.measures import Measures
from zosd.watchdog import Watchdog


class NodeCollector(Collector):
    """What is read when it is asked for."""

    def __init__(
        self,
        journal: Journal,
        watchdog: Watchdog,
        engine: Engine,
        chain: Callable[[], ChainSight | None],
        bus: Callable[[], float | None],
    ) -> None:
        """`chain`: the newest look at it; `bus`: seconds that the local Redis took to answer, None for no answer."""
        self._journal = journal
        self._watchdog = watchdog
        self._engine = engine
        self._chain = chain
        self._bus = bus

    def collect(self) -> Iterator[Metric]:
        ledger = self._journal.ledger
        yield _gauge("zosd_oldest_job_seconds", "Age of the oldest job", self._watchdog.oldest())
        yield _gauge("zosd_jobs", "Deployments not at their goal", self._watchdog.count())
        yield _gauge("zosd_workers", "Deployments that are worked on now", self._engine.workers)
        yield _gauge("zosd_journal_queue", "Writes that wait for the journal", self._journal.waiting)
        yield _gauge("zosd_deployments", "Deployments in the journal", len(ledger))
        states: dict[str, int] = {}
        for record in list(ledger.all()):
            for workload in record.workloads:
                state = workload.result.state.value
                states[state] = states.get(state, 0) + 1
        family = GaugeMetricFamily("zosd_workloads", "Workloads by state", labels=["state"])
        for state, count in sorted(states.items()):
            family.add_metric([state], count)
        yield family
        yield from self._about_chain()
        latency = self._bus()
        yield _gauge("zosd_bus_up", "Whether the local Redis answers", int(latency is not None))
        if latency is not None:
            yield _gauge("zosd_bus_seconds", "Time in which the local Redis answers", latency)

    def _about_chain(self) -> Iterator[Metric]:
        seen = self._chain()
        if seen is None:
            return
        yield _gauge("zosd_chain_up", "Whether the chain answers", int(seen.height is not None))
        if seen.height is not None:
            yield _gauge("zosd_chain_height", "Number of the newest block", seen.height)
        if seen.age is not None:
            yield _gauge("zosd_chain_lag_seconds", "Age of the newest block", seen.age)
        if seen.behind is not None:
            yield _gauge("zosd_chain_blocks_behind", "Finalised blocks not yet dealt with", seen.behind)


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value=value)


def serve(listen: str, measures: Measures, collector: NodeCollector) -> WSGIServer:
    """Serve on `address:port` from a thread of its own; whoever called closes it.

    Raises OSError, and ValueError for a bad address.
    """
    address, _, port = listen.rpartition(":")
    if not address or not port.isdigit():
        raise ValueError(f"[metrics] listen = {listen!r} is not address:port")
    measures.registry.register(collector)
    server, _ = start_http_server(int(port), addr=address.strip("[]"), registry=measures.registry)
    return server
