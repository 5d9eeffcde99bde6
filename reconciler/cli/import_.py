"""`reconcile import FILE`: takes over watchers of the older system, from JSON, job scripts or its database, as YAML.

Everything is checked as a watcher file would be; what cannot be taken over is told with its place, and the rest is
written. The database is opened read-only.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from reconciler.cli.output import note, report
from reconciler.cli.yaml_files import as_yaml, write_out
from reconciler.errors import ExitCode, Problem, SpecError, UsageError
from reconciler.spec.older import Taken, named, take_over
from reconciler.spec.older_scripts import job_name, watchers_of

_SQLITE = b"SQLite format 3\0"
_LIVE = ("active", "paused", "static")
_LARGEST = 64 * 1024 * 1024
_EPILOG = """\
\b
Examples:
  reconcile import watchers.json --job 4711 --host hpc1
  reconcile import train.sbatch > watchers.d/train.yaml
  reconcile import ~/.cache/ssync/jobs.db --out watchers.d
"""


@click.command(epilog=_EPILOG)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write one file for each into this directory."
)
@click.option("--job", "ids", multiple=True, metavar="ID", help="Bind them to this job (repeatable).")
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="Bind them to jobs of this host (repeatable).")
@click.option("--all", "everything", is_flag=True, help="From a database: also those that are over.")
def command(file: Path, out: Path | None, ids: tuple[str, ...], hosts: tuple[str, ...], everything: bool) -> None:
    """Take over watchers of ssync from FILE: JSON, a job script with #WATCHER lines, or its SQLite database."""
    jobs = {**({"ids": list(ids)} if ids else {}), **({"hosts": list(hosts)} if hosts else {})}
    with click.open_file(str(file), "rb") as opened:
        content = opened.read(_LARGEST)
    shown = "<stdin>" if str(file) == "-" else str(file)
    faults: list[Problem] = []
    if content.startswith(_SQLITE):
        taken = list(_database(file, everything, faults))
    elif content.lstrip()[:1] in (b"[", b"{"):
        taken = list(_json(content, shown, jobs))
    else:
        taken = list(_script(content.decode("utf-8-sig", "replace"), shown, jobs, faults))
    if not taken and not faults:
        raise UsageError(
            f"no watcher stands in {shown}", remedy="give watchers as JSON, a script with #WATCHER, or jobs.db"
        )
    documents, more = _checked(named(taken, file.stem if shown != "<stdin>" else "imported"), shown)
    faults += more
    write_out(documents, out)
    if faults:
        report(SpecError(faults))
    raise SystemExit(ExitCode.INVALID if any(fault.severity == "error" for fault in faults) else ExitCode.OK)


def _checked(taken: Sequence[Taken], file: str) -> tuple[list[tuple[str, str]], list[Problem]]:
    """Return the documents of those that are valid, and what is wrong with the others."""
    from reconciler import app  # saves start-up time: it knows every class

    documents, problems = [], []
    for each in taken:
        name = str(each.spec["name"])
        text = as_yaml(each.spec, [f"taken over from {file}" + (f":{each.line}" if each.line else ""), *each.notes])
        loaded = app.parse(text.encode(), file)
        problems += [
            replace(p, line=each.line, column=0, watcher=name, message=f"{name}: {p.message}") for p in loaded.problems
        ]
        if loaded.good:
            documents.append((name, text))
            for each_note in each.notes:
                note(f"{name}: {each_note}")
    return documents, problems


# --- JSON ------------------------------------------------------------------------------------------------------------


def _json(content: bytes, file: str, jobs: Mapping[str, Any]) -> Iterator[Taken]:
    try:
        read = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is no JSON: {error}", remedy="mend it, or give a job script") from error
    items = read if isinstance(read, list) else read.get("watchers", [read]) if isinstance(read, dict) else [read]
    for number, item in enumerate(items, 1):
        fields = {**item, **item["definition"]} if isinstance(item, dict) and "definition" in item else item
        if not isinstance(fields, dict) or not all(isinstance(action, dict) for action in fields.get("actions") or ()):
            raise UsageError(f"{file}: item {number} is no watcher", remedy="a watcher is an object with `actions`")
        fields.pop("definition", None)
        own = {"ids": [str(fields["job_id"])]} if fields.get("job_id") else {}
        where = {"hosts": [str(fields["hostname"])]} if fields.get("hostname") else {}
        yield take_over(fields, {**own, **where, **jobs})


# --- job scripts -----------------------------------------------------------------------------------------------------


def _script(text: str, file: str, jobs: Mapping[str, Any], faults: list[Problem]) -> Iterator[Taken]:
    called = job_name(text)
    selector = jobs or ({"name": re.sub(r"([*?\[])", r"[\1]", called)} if called else {})
    for found in watchers_of(text):
        faults += [
            Problem(file, found.line, 1, "older-watcher", fault, "mend the line, or delete it", severity="error")
            for fault in found.faults
        ]
        if found.faults:
            continue
        taken = take_over(found.fields, selector, found.line)
        wide = () if selector else ("it watches every job: give it `jobs: {name: ...}`",)
        yield replace(taken, notes=(*taken.notes, *wide))


# --- the database ----------------------------------------------------------------------------------------------------


def _database(file: Path, everything: bool, faults: list[Problem]) -> Iterator[Taken]:
    """Yield one watcher for each definition, bound to all jobs that had it; a task's is that of its array."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            rows = [dict(row) for row in database.execute("SELECT * FROM job_watchers ORDER BY id")]
    except sqlite3.Error as error:
        raise UsageError(f"{file} cannot be read: {error}", remedy="name the database of ssync: jobs.db") from error
    present = {row["id"] for row in rows}
    bound: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {}
    for row in rows:
        if ((row.get("state") or "active") not in _LIVE and not everything) or row.get("parent_watcher_id") in present:
            continue
        try:
            fields = _fields(row)
        except (ValueError, TypeError) as error:
            faults.append(
                Problem(str(file), 0, 0, "older-watcher", f"row {row['id']} cannot be read: {error}", "write it anew")
            )
            continue
        key = json.dumps([fields, row.get("state") == "paused", row["hostname"]], sort_keys=True)
        bound.setdefault(key, (fields, [], [str(row["hostname"])]))[1].append(str(row["job_id"]))
    paused = {key for key in bound if json.loads(key)[1]}
    for key, (fields, ids, hosts) in bound.items():
        taken = take_over(fields, {"ids": list(dict.fromkeys(ids)), "hosts": hosts})
        held = {"suspend": {"reason": "was paused in the older system"}} if key in paused else {}
        yield replace(taken, spec={**taken.spec, **held})


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a row; lists stand in it as JSON, truth values as numbers."""
    plain = ("name", "pattern", "interval_seconds", "condition", "max_failures", "timer_interval_seconds")
    fields: dict[str, Any] = {key: row.get(key) for key in plain if row.get(key) not in (None, "")}
    for key in ("captures", "actions", "trigger_job_states"):
        if row.get(f"{key}_json"):
            fields[key] = json.loads(row[f"{key}_json"])
    fields |= {key: True for key in ("timer_mode_enabled", "trigger_on_job_end") if row.get(key)}
    if not all(isinstance(action, dict) for action in fields.get("actions", ())):
        raise ValueError("its actions are no list of objects")
    return fields
