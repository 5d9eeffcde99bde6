"""What Prometheus is told of a reconciler: names, texts and labels, as its conventions ask for, in one place.

`GET /metrics` and the text file show these. https://prometheus.io/docs/practices/naming/. Imports prometheus-client, an
extra: only who shows metrics imports this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from reconciler import __version__
from reconciler.engine.controller import Controller
from reconciler.engine.parts import Parts
from reconciler.model import WatcherState
from reconciler.protocols import Statistics


class Snapshot(Collector):
    """What the engine and the state say now, as families of metrics."""

    def __init__(self, parts: Parts, controller: Controller, counted: Statistics) -> None:
        self._parts, self._controller, self._counted = parts, controller, counted

    def collect(self) -> Iterable[Metric]:
        """Yield the families."""
        yield InfoMetricFamily("reconciler_build", "What runs.", {"version": __version__})
        states = {state.value: self._counted.watchers.get(state.value, 0) for state in WatcherState}
        yield gauges("reconciler_watchers", "Watchers by state.", "state", states)
        actions = CounterMetricFamily(
            "reconciler_action_outcomes",
            "What became of actions.",
            labels=("type", "outcome"),
        )
        for (type_, outcome), count in sorted(self._counted.actions.items()):
            actions.add_metric((type_, outcome), count)
        yield actions
        yield from self._engine()
        yield gauge("reconciler_pending_actions", "Actions without an outcome.", self._counted.pending)
        yield CounterMetricFamily("reconciler_events", "Events ever recorded.", value=self._counted.seq)

    def _engine(self) -> Iterator[Metric]:
        jobs = Counter(known.now.state.value for known in self._controller.discovery.known.values())
        yield gauges("reconciler_jobs", "Jobs that are known, by state.", "state", jobs)
        yield from self._hosts()
        plan = self._controller.plan
        yield gauge("reconciler_job_tasks", "Jobs that are being watched.", len(self._controller.fleet.tasks))
        problems = sum(p.severity == "error" for p in plan.problems) if plan else 0
        yield gauge("reconciler_source_problems", "Errors in watcher files.", problems)
        withheld = len(plan.withheld) if plan else 0
        yield gauge("reconciler_withheld_changes", "Changes that wait for approval.", withheld)

    def _hosts(self) -> Iterator[Metric]:
        down = self._controller.unreachable()
        up = {str(host): float(str(host) not in down) for host in self._parts.hosts}
        yield gauges("reconciler_host_up", "1 where the host and its scheduler answered last.", "host", up)
        listings = {str(host): self._controller.discovery.listing(host) for host in self._parts.hosts}
        took = {host: listing.took for host, listing in listings.items() if listing.took is not None}
        yield gauges("reconciler_listing_duration_seconds", "Time of the last list of jobs.", "host", took)
        every = {host: listing.every for host, listing in listings.items() if listing.every is not None}
        yield gauges("reconciler_listing_interval_seconds", "Time between lists of jobs at present.", "host", every)


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a family of one gauge."""
    return GaugeMetricFamily(name, text, value=value)


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a family of gauges that differ by one label."""
    family = GaugeMetricFamily(name, text, labels=(label,))
    for key, value in sorted(values.items()):
        family.add_metric((key,), value)
    return family
