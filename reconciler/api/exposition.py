"""Prometheus metrics of the whole reconciler, under the names that its conventions ask for. `GET /metrics` shows them.

https://prometheus.io/docs/practices/naming/. Counted here: requests; everything else is asked for when it is scraped.
"""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler import __version__
from reconciler.api.desk import Desk
from reconciler.model import WatcherState
from reconciler.protocols import Statistics

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


class _Snapshot(Collector):
    """What the engine and the state say now, as families of metrics."""

    def __init__(self, desk: Desk, counted: Statistics) -> None:
        self._desk, self._counted = desk, counted

    def collect(self) -> Iterable[Metric]:
        """Yield the families."""
        yield InfoMetricFamily("reconciler_build", "What runs.", {"version": __version__})
        states = {state.value: self._counted.watchers.get(state.value, 0) for state in WatcherState}
        yield _gauges("reconciler_watchers", "Watchers by state.", "state", states)
        actions = CounterMetricFamily(
            "reconciler_action_outcomes",
            "What became of actions, as far as events are kept.",
            labels=("type", "outcome"),
        )
        for (type_, outcome), count in sorted(self._counted.actions.items()):
            actions.add_metric((type_, outcome), count)
        yield actions
        yield from self._engine()
        yield _gauge("reconciler_pending_actions", "Actions without an outcome.", self._counted.pending)
        yield CounterMetricFamily("reconciler_events", "Events ever recorded.", value=self._counted.seq)
        yield _gauge("reconciler_websocket_clients", "WebSockets that are open.", self._desk.feed.subscribers)
        yield CounterMetricFamily(
            "reconciler_websocket_refetches", "Times that a slow WebSocket lost events.", value=self._desk.feed.dropped
        )

    def _engine(self) -> Iterator[Metric]:
        controller = self._desk.controller
        jobs = Counts(known.now.state.value for known in controller.discovery.known.values())
        yield _gauges("reconciler_jobs", "Jobs that are known, by state.", "state", jobs)
        down = controller.unreachable()
        up = {str(host): float(str(host) not in down) for host in self._desk.parts.hosts}
        yield _gauges("reconciler_host_up", "1 where the host and its scheduler answered last.", "host", up)
        plan = controller.plan
        yield _gauge("reconciler_job_tasks", "Jobs that are being watched.", len(controller.fleet.tasks))
        problems = sum(p.severity == "error" for p in plan.problems) if plan else 0
        yield _gauge("reconciler_source_problems", "Errors in watcher files.", problems)
        yield _gauge(
            "reconciler_withheld_changes", "Changes that wait for approval.", len(plan.withheld) if plan else 0
        )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for key, value in sorted(values.items()):
        family.add_metric((key,), value)
    return family


async def exposition(desk: Desk, registry: CollectorRegistry) -> bytes:
    """Return everything in Prometheus' text format. Raises StateError."""
    once = CollectorRegistry()
    once.register(_Snapshot(desk, await desk.tally.read(desk.reading, desk.parts.clock.now())))
    return generate_latest(registry) + generate_latest(once)


def make_registry() -> CollectorRegistry:
    """Return a registry of our own, with the process in it."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry
