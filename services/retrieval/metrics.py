"""What the service counts: requests, seconds, and the load an autoscaler looks at."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from wideseek.errors import InvalidRequest, UpstreamError

_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The service's metrics in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "wideseek_retrieval_requests", "Requests answered.", ("route", "outcome"), registry=self.registry
        )
        self._seconds = Histogram(
            "wideseek_retrieval_seconds",
            "Seconds a request took.",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("wideseek_retrieval_in_flight", "Requests being worked on.", registry=self.registry)
        self.slots = Gauge(
            "wideseek_retrieval_slots", "Requests that can be worked on at a time.", registry=self.registry
        )
        self.queue_depth = Gauge(
            "wideseek_retrieval_queue_depth", "Requests waiting for a slot.", registry=self.registry
        )
        self.encode_batch = Histogram(
            "wideseek_retrieval_encode_batch",
            "Queries encoded together.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        self.pages = Gauge("wideseek_retrieval_pages", "Pages served.", ("corpus",), registry=self.registry)

    @contextmanager
    def request(self, route: str) -> Iterator[None]:
        """Count and time one request: `ok`, `invalid`, `unavailable` or `error`."""
        outcome, started = "error", time.perf_counter()
        try:
            yield
            outcome = "ok"
        except InvalidRequest:
            outcome = "invalid"
            raise
        except UpstreamError:
            outcome = "unavailable"
            raise
        finally:
            self._requests.labels(route, outcome).inc()
            self._seconds.labels(route).observe(time.perf_counter() - started)
