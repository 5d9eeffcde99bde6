"""The route of hosts: whether they answer, since when, and what it costs. It asks no host anything."""

from __future__ import annotations

from collections import Counter

from fastapi import APIRouter

from reconciler.api.desk import Desk
from reconciler.api.output_shapes import HostList, HostShape
from reconciler.api.refusals import documented
from reconciler.api.shaping import clean, finite, maybe, moment
from reconciler.engine.parts import Host
from reconciler.schedulers.auto import AutoScheduler


def routes(desk: Desk) -> APIRouter:
    """Return the route."""
    router = APIRouter(prefix="/api", tags=["hosts"], responses=documented())

    @router.get("/hosts")
    async def list_hosts() -> HostList:
        """List the hosts of the settings, each as the engine last met it."""
        counts = _counts(desk)
        hosts = [_shape(desk, host, counts) for _, host in sorted(desk.parts.hosts.items())]
        return HostList(hosts=hosts, count=len(hosts), now=moment(desk.parts.clock.now()))

    return router


def _counts(desk: Desk) -> Counter[tuple[str, str]]:
    """Return how many there are, by host and kind."""
    counts: Counter[tuple[str, str]] = Counter()
    for known in desk.controller.discovery.known.values():
        counts[known.now.host, "ended" if known.now.state.ended else "jobs"] += 1
    for key, task in desk.controller.fleet.tasks.items():
        counts[key.host, "watched"] += 1
        counts[key.host, "watchers"] += len(task.watchers)
    return counts


def _shape(desk: Desk, host: Host, counts: Counter[tuple[str, str]]) -> HostShape:
    listing = desk.controller.discovery.listing(host.name)
    look = desk.daemon.looks().get(host.name)
    down = desk.controller.unreachable().get(host.name)
    reason = down or desk.controller.discovery.answering.lacking.get(host.name, "")
    settings = desk.parts.settings.hosts.get(host.name)
    return HostShape(
        hostname=host.name,
        transport=str((settings.transport if settings else {}).get("type") or _kind(host.transport, "Transport")),
        scheduler=_scheduler(host),
        reachable=down is None,
        layer=listing.layer,
        reason=clean(reason),
        since=maybe(listing.since),
        listed=maybe(listing.at),
        listing_seconds=finite(listing.took),
        listing_every=finite(listing.every),
        looked=maybe(look.at if look else None),
        look_seconds=finite(look.took if look else None),
        late_seconds=finite(look.late if look else None),
        outputs=look.outputs if look else 0,
        jobs=counts[host.name, "jobs"],
        ended_jobs=counts[host.name, "ended"],
        watched_jobs=counts[host.name, "watched"],
        watchers=counts[host.name, "watchers"],
    )


def _scheduler(host: Host) -> str:
    """Return the scheduler's name in settings; what `auto` found, where it found something."""
    scheduler = host.scheduler
    found = scheduler.found if isinstance(scheduler, AutoScheduler) else scheduler
    return "auto" if found is None else _kind(found, "Scheduler")


def _kind(part: object, suffix: str) -> str:
    """Return what a part of the house is called in settings: SlurmScheduler is `slurm`."""
    return type(part).__name__.removesuffix(suffix).lower()
