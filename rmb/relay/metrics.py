"""What a relay counts, under the names of the existing one where it has them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector


class Metrics:
    """The counters of one relay process; `rx` is what was accepted, `tx` what was handed to a connection."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self._rx = counter("relay_message_rx", "messages accepted")
        self._rx_bytes = counter("relay_message_rx_bytes", "bytes accepted")
        self._tx = counter("relay_message_tx", "messages handed to a connection")
        self._tx_bytes = counter("relay_message_tx_bytes", "bytes handed to a connection")
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

    def received(self, size: int) -> None:
        self._rx.inc()
        self._rx_bytes.inc(size)

    def sent(self, size: int) -> None:
        self._tx.inc()
        self._tx_bytes.inc(size)

    def text(self) -> bytes:
        """All of it, in the text format of Prometheus."""
        return generate_latest(self._registry)
