"""What a relay counts, under the names of the existing one where it has them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector


class _Passed:
    """Messages and bytes, counted as plain numbers: the library's counters take a lock each time."""

    __slots__ = ("_name", "_text", "messages", "size")

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self.messages = 0
        self.size = 0

    def add(self, size: int) -> None:
        self.messages += 1
        self.size += size

    def collect(self) -> Iterator[CounterMetricFamily]:
        """For the registry, when somebody asks."""
        yield CounterMetricFamily(self._name, f"messages {self._text}", self.messages)
        yield CounterMetricFamily(f"{self._name}_bytes", f"bytes {self._text}", self.size)


class Metrics:
    """The counters of one relay process; `rx` is what was accepted, `tx` what was handed to a connection."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        rx, tx = (
            _Passed("relay_message_rx", "accepted"),
            _Passed("relay_message_tx", "handed to a connection"),
        )
        for passed in (rx, tx):
            registry.register(passed)
        self.received, self.sent = rx.add, tx.add
        """Count a message of so many bytes."""
        self.sessions = Gauge("relay_worker_connections", "sessions that are connected", registry=registry)
        self.evictions = counter("relay_session_evictions", "sessions that ended", "reason")
        self.refused = counter("relay_message_refused", "messages that were answered with an error", "reason")
        self.rejected = counter("relay_connection_rejected", "connections that were refused", "reason")
        self.store_failures = counter("relay_store_failures", "messages that the store could not take")
        self.federation_success = counter("federation_message_success", "handed to another relay", "relay")
        self.federation_error = counter("federation_message_error", "not taken by another relay", "relay")
        self.cache_entries = Gauge("rmb_cache_entries", "twins that are remembered", registry=registry)
        self.cache_misses = counter("rmb_cache_misses", "twins asked from the chain")
        self.cache_flushes = counter("rmb_cache_flushes", "times that all twins were forgotten")
        self.last_block = Gauge(
            "events_listener_last_processed_block_number", "block whose events were taken", registry=registry
        )

    def text(self) -> bytes:
        """All of it, in the text format of Prometheus."""
        return generate_latest(self._registry)
