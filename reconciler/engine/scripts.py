"""Watchers that stand in the batch scripts of our own jobs (`#WATCHER`), as one more source for each host.

Off unless `policy.script_watchers` says otherwise. A script is asked for once, that of an array or a
heterogeneous job once for all of it; what it said is kept in the cache of parsed files. What is wrong with one is told
in one event, and harms nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import orjson

from reconciler.engine.parts import Host, ParsedFile, ParsedSpec, Parts
from reconciler.engine.sourcing import reading_of
from reconciler.errors import ActionError, UnavailableError
from reconciler.events import Event, EventType
from reconciler.logic.desired import Reading
from reconciler.logic.selecting import plain_id
from reconciler.model import HostName, Job, JobKey
from reconciler.protocols import KnownJob, Snapshot, SourceFile, StateReading

log = logging.getLogger(__name__)

#: Scripts asked for in one pass and on one host: many new jobs are not many calls to slurmctld at once.
MOST = 50
#: A script is read so far.
MAX_BYTES = 1024 * 1024
_MARK = b"#WATCHER"


class Scripts:
    """Reads them. `unsaved` is for the next commit, like that of `Sourcing`; `events` too."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._accounts: dict[HostName, str] = {}
        self._said: dict[str, _Said] = {}
        self.unsaved: dict[str, str] = {}
        self.events: list[Event] = []

    async def read(self, known: Mapping[JobKey, KnownJob]) -> tuple[Reading, ...]:
        """Return one Reading for each host; empty ones where it is switched off, so that what was bound stops."""
        return tuple([await self._host(host, known.values()) for host in self._parts.hosts.values()])

    async def _host(self, host: Host, known: Iterable[KnownJob]) -> Reading:
        source = f"script:{host.name}"
        if not self._parts.settings.policy.script_watchers:
            return Reading(source, deliberate=True)
        try:
            account = self._accounts.get(host.name) or await host.scheduler.account()
            self._accounts[host.name] = account
            jobs = _by_script(job for job in known if job.now.host == host.name and job.now.user == account)
            await self._learn(host, jobs)
        except UnavailableError as error:
            return Reading(source, failed=error.message, moving=True)
        self._said = {key: said for key, said in self._said.items() if key in jobs or not _of(host.name, key)}
        said = [(_place(job), self._said[key]) for key, job in jobs.items() if key in self._said]
        files = tuple(SourceFile(path, path, b"", each.digest) for path, each in said if each.specs)
        revision = f"scripts {_digest(' '.join(sorted(file.digest for file in files)))}"
        parsed = {path: ParsedFile(each.specs, ()) for path, each in said}
        return reading_of(Snapshot(source, files, revision, deliberate=True), parsed)

    async def _learn(self, host: Host, jobs: Mapping[str, Job]) -> None:
        """Get what is not known yet of these jobs' scripts: from the cache, else from the scheduler."""
        missing = [key for key in jobs if key not in self._said]
        if not missing:
            return

        def look_up(state: StateReading) -> Mapping[str, str]:
            return state.parsed(missing)

        for key, text in (await self._parts.state.run(look_up)).items():
            self._said[key] = self._parsed(text, jobs[key])[0]
        wanted = [key for key in missing if key not in self._said][:MOST]
        scripts = await asyncio.gather(*(_script(host, jobs[key]) for key in wanted), return_exceptions=True)
        for key, script in zip(wanted, scripts, strict=True):
            if not isinstance(script, BaseException):
                self.unsaved[key] = _says(script, jobs[key])
                self._said[key], faults = self._parsed(self.unsaved[key], jobs[key])
                self._tell(jobs[key], faults)
        for script in scripts:
            if isinstance(script, BaseException):
                raise script

    def _parsed(self, text: str, job: Job) -> tuple[_Said, list[str]]:
        """Return the specs that are valid, each judged by itself, and everything that is wrong."""
        specs: list[ParsedSpec] = []
        says = orjson.loads(text)
        faults: list[str] = list(says["faults"])
        for watcher in says["watchers"]:
            content = orjson.dumps(watcher["spec"])
            file = SourceFile("script", _place(job), content, _digest(content.decode()))
            parsed = self._parts.parse(file, None)
            specs += [replace(spec, line=watcher["line"]) for spec in parsed.specs]
            faults += [f"line {watcher['line']}: {p.message}" for p in parsed.problems if p.severity == "error"]
        return _Said(tuple(specs), _digest(text)), faults

    def _tell(self, job: Job, faults: Sequence[str]) -> None:
        """One event for a script, with all that is wrong with it."""
        if not faults:
            return
        text = "; ".join(faults)[:2000]
        log.warning("%s: %s", _place(job), text)
        data = {"file": _place(job), "code": "script-watcher", "remedy": "mend the #WATCHER lines and submit again"}
        self.events.append(
            Event(
                EventType.SOURCE_REJECTED, self._parts.clock.now(), _place(job), job_id=job.id, hostname=job.host,
                action_result=text, success=False, data=data,
            )
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Said:
    """What one script gave."""

    specs: tuple[ParsedSpec, ...]
    digest: str


async def _script(host: Host, job: Job) -> bytes:
    """Return the script; empty where the scheduler has none any more. Raises UnavailableError."""
    try:
        return await host.scheduler.script(job)
    except ActionError as error:
        log.info("job %s@%s: %s", job.id, job.host, error.message)
        return b""


def _says(script: bytes, job: Job) -> str:
    """Return what a script says, as JSON for the cache: watchers with their lines, and faults."""
    if _MARK not in script:
        return orjson.dumps({"watchers": [], "faults": []}).decode()
    from reconciler.spec.older import named, take_over  # saves start-up time where no script has watchers
    from reconciler.spec.older_scripts import watchers_of

    base = _base(job)
    found = watchers_of(script[:MAX_BYTES].decode("utf-8", "replace"))
    selector = {"ids": [base], "hosts": [job.host]}
    good = [take_over(each.fields, selector, each.line) for each in found if not each.faults]
    watchers = [
        {"line": each.line, "spec": {**each.spec, "name": f"{each.spec['name']} ({base}@{job.host})"}}
        for each in named(good, "script")
    ]
    faults = [f"line {each.line}: {text}" for each in found for text in each.faults]
    return orjson.dumps({"watchers": watchers, "faults": faults}).decode()


def _by_script(known: Iterable[KnownJob]) -> dict[str, Job]:
    """Return one job for each script, by cache key: what is of one job shares it, ids are given again some day."""
    found: dict[str, KnownJob] = {}
    for job in known:
        base = _base(job.now)
        first = found.get(base)
        if not job.finished and (first is None or (job.first.submitted or 0) < (first.first.submitted or 0)):
            found[base] = job
    return {f"script:{job.now.host}:{base}:{job.first.submitted}": job.now for base, job in found.items()}


def _of(host: HostName, key: str) -> bool:
    return key.startswith(f"script:{host}:")


def _base(job: Job) -> str:
    return plain_id(job.id)


def _place(job: Job) -> str:
    return f"job-script:{_base(job)}@{job.host}"


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=20).hexdigest()
