"""From what the sources gave to the one set of specs that is wanted, name by name.

The engine calls `resolve` once a pass. A file that is bad keeps its last good specs, a spec that merely disappeared is
kept for a grace, and a source that was not read keeps everything it gave. Nothing here reads files or the state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from reconciler.errors import Problem
from reconciler.logic.layers import Hider
from reconciler.logic.selecting import dangerous
from reconciler.model import Origin, StoredSpec, WatcherName

if TYPE_CHECKING:
    from reconciler.spec.watcher import WatcherSpec


@dataclass(frozen=True)
class Desired:
    """A spec in force.

    `given`: the spec, or what makes it from `body` when it is first asked for: most passes ask for few of them.
    `binds`: it may be bound to jobs it has no watcher for. `note`: why it stands though its file says otherwise.
    """

    given: WatcherSpec | Callable[[], WatcherSpec] = field(compare=False, repr=False)  # `digest` stands for it
    digest: str
    body: str
    origin: Origin
    binds: bool = True
    missing_since: float | None = None
    note: str = ""

    @cached_property
    def spec(self) -> WatcherSpec:
        """The spec itself."""
        return self.given() if callable(self.given) else self.given

    @cached_property
    def _plain(self) -> Mapping[str, Any]:
        plain: Mapping[str, Any] = orjson.loads(self.body)
        return plain

    @property
    def name(self) -> WatcherName:
        """The spec's name, unique over all sources."""
        return WatcherName(self._plain["name"])

    @property
    def renamed_from(self) -> str | None:
        """The name that the spec had before."""
        old: str | None = self._plain.get("renamed_from")
        return old

    @property
    def named_jobs(self) -> bool:
        """Whether the spec names jobs by their ids."""
        return bool(self._plain.get("jobs", {}).get("ids"))

    def stored(self) -> StoredSpec:
        """Return the form in which the state keeps it."""
        return StoredSpec(self.name, self.digest, self.body, self.origin, self.missing_since)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """One file of a source as parsed: its specs, or the problems that make it bad (then `specs` is empty).

    `named`: the watchers that a bad file seems to define, as far as its text tells (see `names_in`).
    """

    path: str
    specs: tuple[Desired, ...]
    problems: tuple[Problem, ...] = ()
    named: frozenset[str] = frozenset()

    @property
    def bad(self) -> bool:
        """True where an error, not a mere warning, was found."""
        return any(problem.severity == "error" for problem in self.problems)


#: What stands behind a key `name`: quoted, or plain up to a comment.
_NAME: Final = re.compile(
    r"""\bname["']?[ \t]*:[ \t]+(?:"([^"\n]*)|'([^'\n]*)|([^\s"'#].*?)[ \t]*(?:[ \t]#.*)?$)""", re.M
)


def names_in(content: bytes) -> frozenset[str]:
    """Return what may be the names of watchers in a file that cannot be read as YAML, or not as watchers."""
    text = content.decode(errors="replace").replace("\r", "")
    found = {next(filter(None, groups), "") for groups in _NAME.findall(text)}
    return frozenset(found | {re.split(r"[,}]", name)[0].strip() for name in found})  # in braces, too


@dataclass(frozen=True, slots=True)
class Reading:
    """What one source gave in this pass.

    `failed`: it could not be read, and why; then `files` is empty and says nothing.
    """

    source: str
    files: tuple[ReadFile, ...] = ()
    deliberate: bool = False
    revision: str = ""
    failed: str = ""
    moving: bool = False  # failed because it is being written at this moment
    problems: tuple[Problem, ...] = ()
    deleted: frozenset[str] = frozenset()  # paths of files that a commit deleted
    hidden: Mapping[str, Hider] = field(default_factory=dict)  # by path: files that a later source replaces or masks


@dataclass(frozen=True, slots=True)
class Vanished:
    """A spec that its source gives no more. `deliberate`: somebody committed or approved the deletion."""

    stored: StoredSpec
    deliberate: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Emptied:
    """A source that is empty though nobody committed that: `specs` stay in force until a person says yes."""

    alarm: str
    specs: tuple[Vanished, ...]


#: The note of a spec whose source another pass reads.
_ELSEWHERE = "its source is not read in this pass"


@dataclass(frozen=True, slots=True)
class Resolution:
    """The set of specs in force, and how it came about.

    `vanished`: specs to drop now. `unread`, `emptied`: sources that are gone or empty though they gave specs before;
    nothing of theirs is dropped, and the pass ends with exit 5. `tame`: edited specs that could not change jobs before.
    """

    desired: Mapping[WatcherName, Desired]
    vanished: tuple[Vanished, ...] = ()
    unread: tuple[str, ...] = ()
    emptied: tuple[Emptied, ...] = ()
    problems: tuple[Problem, ...] = ()
    tame: frozenset[WatcherName] = frozenset()

    @property
    def notes(self) -> Mapping[WatcherName, str]:
        """Why specs stand though their files say otherwise; not those of other passes, which are no news."""
        return {name: spec.note for name, spec in self.desired.items() if spec.note not in ("", _ELSEWHERE)}

    @property
    def alarms(self) -> tuple[str, ...]:
        """Why nothing of some sources may be dropped."""
        return (*self.unread, *(source.alarm for source in self.emptied))

    @property
    def awaiting(self) -> Mapping[WatcherName, tuple[Vanished, str]]:
        """The specs that go once a person says yes, each with the alarm of its source."""
        return {each.stored.name: (each, source.alarm) for source in self.emptied for each in source.specs}

    def approved(self) -> Resolution:
        """Return what is in force once a person said yes to the sources that were emptied."""
        gone = self.awaiting
        desired = {name: spec for name, spec in self.desired.items() if name not in gone}
        vanished = (*self.vanished, *(each for each, _ in gone.values()))
        return replace(self, desired=desired, vanished=vanished, emptied=())


Revive: TypeAlias = "Callable[[StoredSpec], WatcherSpec | None]"
#: Tells whether a definition of a source that is not read is still there, next to another one.
Stands: TypeAlias = Callable[[Origin, Origin], bool]


def resolve(
    readings: Sequence[Reading],
    stored: Iterable[StoredSpec],
    *,
    revive: Revive,
    now: float,
    grace: float,
    approved: bool = False,
    stands: Stands = lambda old, new: False,
) -> Resolution:
    """Return the specs in force.

    `revive` turns a stored spec back into a spec (None where this version cannot read it). `grace` (seconds) is how
    long a spec that disappeared without a commit stays. `approved`: a person said yes to what would be dropped.
    A name whose definition `stands` in a source that was not read is not taken over.
    """
    before = {spec.name: spec for spec in stored}
    desired, problems = _given(readings, before, stands)
    vanished: list[Vanished] = []
    by_source = {reading.source: reading for reading in readings}
    unread = tuple(text for reading in readings if (text := _unread(reading, before.values())))
    emptied = {r.source: text for r in readings if not approved and (text := _emptied(r, before.values()))}
    waiting: dict[str, list[Vanished]] = {source: [] for source in emptied}
    renamed = {d.renamed_from for d in desired.values() if d.renamed_from}
    for name, old in before.items():
        if name in desired:
            continue
        source = old.origin.source
        verdict = _absent(old, by_source.get(source), now, grace, approved, renamed=name in renamed)
        if isinstance(verdict, Vanished):
            vanished.append(verdict)
            continue
        if (spec := revive(verdict.stored)) is not None:
            desired[name] = verdict.desired(spec)
        if source in emptied:
            then = _absent(old, by_source[source], now, grace, approved=True, renamed=False)
            waiting[source] += [then] if isinstance(then, Vanished) else []
    found = tuple(Emptied(text, tuple(waiting[source])) for source, text in emptied.items())
    return Resolution(desired, tuple(vanished), unread, found, problems, _tame(desired.values(), before, revive))


def _tame(given: Iterable[Desired], before: Mapping[WatcherName, StoredSpec], revive: Revive) -> frozenset[WatcherName]:
    """Return which edited specs could not change jobs before; a renamed one is looked up under its old name."""
    found = set()
    for spec in given:
        old = before.get(spec.name) or before.get(WatcherName(spec.renamed_from or ""))
        if old is None or old.digest == spec.digest or not dangerous(spec.spec):
            continue
        was = revive(old)
        if was is None or not dangerous(was):
            found.add(spec.name)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class _Kept:
    stored: StoredSpec
    binds: bool
    note: str

    def desired(self, spec: WatcherSpec) -> Desired:
        kept = self.stored
        return Desired(spec, kept.digest, kept.body, kept.origin, self.binds, kept.missing_since, self.note)


def _given(
    readings: Sequence[Reading], before: Mapping[WatcherName, StoredSpec], stands: Stands
) -> tuple[dict[WatcherName, Desired], tuple[Problem, ...]]:
    """Return the specs that good files give, the definition in force winning over its duplicates."""
    failed = {reading.source: bool(reading.failed) for reading in readings}
    desired: dict[WatcherName, Desired] = {}
    problems: list[Problem] = []
    for reading in readings:
        problems.extend(reading.problems)
        if reading.failed and not reading.moving and all(s.origin.source != reading.source for s in before.values()):
            problems.append(_unreadable(reading))
        for file in reading.files:
            problems.extend(file.problems)
            for spec in file.specs:
                old = before.get(spec.name)
                if old is not None and _unread_holds(old, spec, failed, stands):
                    problems.append(_duplicate(old.origin, spec))
                    continue
                first = desired.get(spec.name)
                if first is None:
                    desired[spec.name] = spec
                    continue
                winner, loser = (spec, first) if _in_force(old, spec, first) else (first, spec)
                desired[spec.name] = winner
                problems.append(_duplicate(winner.origin, loser))
    return desired, tuple(problems)


def _unread_holds(old: StoredSpec, new: Desired, failed: Mapping[str, bool], stands: Stands) -> bool:
    """Tell whether a name is taken by a source that was not read; `failed`: whether each that was looked at is one."""
    source = old.origin.source
    return failed[source] if source in failed else stands(old.origin, new.origin)


def _in_force(old: StoredSpec | None, later: Desired, first: Desired) -> bool:
    """Tell whether the later of two definitions is the one that was applied before."""
    if old is None:
        return False
    place = (old.origin.source, old.origin.file)
    if place == (first.origin.source, first.origin.file) != (later.origin.source, later.origin.file):
        return False
    return place == (later.origin.source, later.origin.file) and (
        later.digest == old.digest != first.digest or place != (first.origin.source, first.origin.file)
    )


def _unreadable(reading: Reading) -> Problem:
    kind, _, where = reading.source.partition(":")
    remedy = "mend it in `sources` of the settings, or see that it can be reached"
    if kind == "directory":
        remedy = "name a directory that exists and that you may read"
    return Problem(where or reading.source, 0, 0, "source-unreadable", reading.failed, remedy)


def _duplicate(winner: Origin, loser: Desired) -> Problem:
    return Problem(
        file=loser.origin.file,
        line=loser.origin.line,
        column=1,
        code="duplicate-name",
        message=f"watcher {loser.name!r} is defined twice, also at {winner.file}:{winner.line}, which stays in force",
        remedy="give one of the two another name, or delete it; a file that moved takes over once the other is gone",
        value=str(loser.name),
        watcher=str(loser.name),
    )


def _unread(reading: Reading, stored: Iterable[StoredSpec]) -> str:
    """Say why nothing of this source may be dropped: it is gone."""
    count = _undecided(reading, stored)
    if not count or reading.moving or not reading.failed:
        return ""
    return f"{reading.source} cannot be read ({reading.failed}); its {count} watchers stay as they are"


def _emptied(reading: Reading, stored: Iterable[StoredSpec]) -> str:
    """Say why nothing of this source may be dropped: it is empty without a commit that emptied it."""
    count = _undecided(reading, stored)
    if not count or reading.failed or reading.files or reading.deliberate:
        return ""
    return (
        f"{reading.source} is empty, though it gave {count} watchers before; nothing was stopped. "
        "If they are to go, commit the deletion or pass --approve; if not, is it mounted?"
    )


def _undecided(reading: Reading, stored: Iterable[StoredSpec]) -> int:
    """Return how many specs of a source no commit deleted and no other source hides."""
    decided = {*reading.deleted, *reading.hidden}
    return sum(spec.origin.source == reading.source and spec.origin.file not in decided for spec in stored)


def _absent(
    old: StoredSpec, reading: Reading | None, now: float, grace: float, approved: bool, *, renamed: bool
) -> Vanished | _Kept:
    """Decide about a spec that no good file gives any more."""
    if reading is None:
        return _Kept(old, False, _ELSEWHERE)
    if reading.failed:
        return _Kept(old, True, f"its source cannot be read: {reading.failed}")
    file = next((file for file in reading.files if file.path == old.origin.file), None)
    if file is not None and file.bad:
        return _Kept(replace(old, missing_since=None), True, "its file is invalid; the last good version is in force")
    if renamed:
        return Vanished(old, True, "renamed")
    spoiled = next((file for file in reading.files if old.name in file.named), None)
    if spoiled is not None:
        note = f"{spoiled.path} defines it, it seems, and is invalid; the last good version is in force"
        return _Kept(replace(old, missing_since=None), True, note)
    if orjson.loads(old.body).get("prune") == "disabled":
        return _Kept(old, False, f"gone from {old.origin.file}; prune: disabled keeps it")
    yes = _decided(old, reading, approved, file_gone=file is None)
    if yes:
        return Vanished(old, True, yes)
    if not reading.files and not reading.hidden:
        return _Kept(old, True, "its source is empty")
    hider = reading.hidden.get(old.origin.file)
    where = f"{old.origin.file} is hidden by {hider.source}" if hider else f"gone from {old.origin.file}"
    return _fading(old, now, grace, where)


def _decided(old: StoredSpec, reading: Reading, approved: bool, *, file_gone: bool) -> str:
    """Say which decision of a person took the spec away (empty: none that is known)."""
    hider = reading.hidden.get(old.origin.file)
    if hider is not None:
        return f"hidden by {hider.source}" if hider.deliberate else "hidden, approved" if approved else ""
    if reading.deliberate:
        return f"deleted in {reading.revision[:12]}"
    if file_gone and old.origin.file in reading.deleted:
        return "deleted by a commit"
    return "gone from its directory, approved" if approved else ""


def _fading(old: StoredSpec, now: float, grace: float, where: str) -> Vanished | _Kept:
    """A mere disappearance must last for the grace, and be seen twice."""
    since = old.missing_since if old.missing_since is not None else now
    if old.missing_since is None or now - since < grace:
        left = max(0.0, grace - (now - since))
        return _Kept(replace(old, missing_since=since), True, f"{where}; stops in {left:.0f} s")
    return Vanished(old, False, f"{where} for {now - since:.0f} s")
