"""What differs between the specs of two revisions, without any job: what a pull request means, before anything runs.

Pure; `reconcile plan --from --to` calls it with the specs in force at either revision. What a spec means for jobs, or
whether it may be applied without approval, is `plan`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.logic.desired import Desired, Resolution
from reconciler.logic.fields import FieldChange, field_changes
from reconciler.logic.plan import ChangeKind
from reconciler.model import Origin, WatcherName


@dataclass(frozen=True, slots=True)
class SpecChange:
    """One spec's difference; a spec that went is told with the place where it stood."""

    kind: ChangeKind
    name: WatcherName
    reason: str
    origin: Origin
    fields: tuple[FieldChange, ...] = ()


def between(before: Mapping[WatcherName, Desired], after: Resolution) -> tuple[SpecChange, ...]:
    """Return the changes in the order of names. `after` was resolved with the specs of `before` as those applied."""
    changes = [*_given(before, after), *_gone(after)]
    return tuple(sorted(changes, key=lambda change: change.name))


def _given(before: Mapping[WatcherName, Desired], after: Resolution) -> Iterator[SpecChange]:
    freed = {vanished.stored.name for vanished in after.vanished}
    for name, spec in after.desired.items():
        old = before.get(name)
        earlier = WatcherName(spec.spec.renamed_from or "")
        if old is not None:
            if old.digest != spec.digest:
                yield _edit(ChangeKind.UPDATE, old, spec, "its spec was edited")
        elif earlier in freed:
            yield _edit(ChangeKind.REPLACE, before[earlier], spec, f"renamed from {earlier!r}")
        else:
            yield SpecChange(ChangeKind.CREATE, name, "new", spec.origin)


def _edit(kind: ChangeKind, old: Desired, new: Desired, reason: str) -> SpecChange:
    return SpecChange(kind, new.name, reason, new.origin, field_changes(old.body, new.body))


def _gone(after: Resolution) -> Iterator[SpecChange]:
    for vanished in after.vanished:
        if vanished.reason != "renamed":
            yield SpecChange(ChangeKind.STOP, vanished.stored.name, vanished.reason, vanished.stored.origin)
