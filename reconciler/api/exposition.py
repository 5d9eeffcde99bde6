"""`GET /metrics`: what `engine.measures` says, and what is of the API alone.

Counted here: requests; everything else is asked for when it is scraped.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.api.desk import Desk
from reconciler.api.feed import Feed
from reconciler.engine.counting import counted
from reconciler.engine.measures import Snapshot, gauge

#: Seconds; a list page of ten thousand watchers should be under 0.05.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Meter:
    """Counts requests by method, route and status; ASGI around the application."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        labels = ("method", "route")
        self._requests = Counter(
            "reconciler_http_requests", "Requests answered.", (*labels, "status"), registry=registry
        )
        self._seconds = Histogram(
            "reconciler_http_request_duration_seconds", "Time to answer.", labels, buckets=_BUCKETS, registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            # the route's template, never the path: what strangers ask for must not become names of series
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "PUT", "DELETE") else "other"
            self._requests.labels(method, route, str(status)).inc()
            self._seconds.labels(method, route).observe(time.perf_counter() - began)


class _WebSockets(Collector):
    """What clients of the API are about."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def collect(self) -> Iterable[Metric]:
        """Yield the families."""
        yield gauge("reconciler_websocket_clients", "WebSockets that are open.", self._feed.subscribers)
        yield CounterMetricFamily(
            "reconciler_websocket_refetches", "Times that a slow WebSocket lost events.", value=self._feed.dropped
        )


async def exposition(desk: Desk, registry: CollectorRegistry) -> bytes:
    """Return everything in Prometheus' text format. Raises StateError."""
    once = CollectorRegistry()
    once.register(Snapshot(desk.parts, desk.controller, await counted(desk.parts, desk.reading.ask)))
    once.register(_WebSockets(desk.feed))
    return generate_latest(registry) + generate_latest(once)


def make_registry() -> CollectorRegistry:
    """Return a registry of our own, with the process in it."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry
