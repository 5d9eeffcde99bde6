"""`reconcile events`: what happened, from the state; `--follow` goes on as it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import Column, Form, emit, output_option
from reconciler.cli.reading import state_of
from reconciler.events import Event, EventType, to_cloudevent
from reconciler.protocols import EventFilter, StateReading

if TYPE_CHECKING:
    from reconciler.settings import Settings

COLUMNS = (
    Column("seq", form=Form.NUMBER),
    Column("at", "TIME", Form.TIME),
    Column("what", form=Form.STATE),
    Column("subject"),
    Column("text"),
)
_EPILOG = """\
\b
Examples:
  reconcile events                        the newest 50
  reconcile events -f --job 4711          as it happens
  reconcile events --type reconciler.action.failed.v1 -o jsonl | jq .data
"""
#: Seconds between two looks of --follow.
_FOLLOW = 0.3


@click.command(epilog=_EPILOG)
@click.option("-f", "--follow", is_flag=True, help="Go on as things happen, until interrupted.")
@click.option("-n", "--lines", default=50, show_default=True, type=click.IntRange(1, 1_000_000), help="How many.")
@click.option("--after", "after_seq", type=int, metavar="SEQ", help="All events after this seq, oldest first.")
@click.option("--job", metavar="ID", help="Only of this job.")
@click.option("--watcher", metavar="NAME", help="Only of this watcher.")
@click.option(
    "--type", "types", multiple=True, type=click.Choice([each.value for each in EventType]), metavar="TYPE",
    help="Only of this type (repeatable).",
)  # fmt: skip
@output_option()
@click.pass_obj
def command(
    options: GlobalOptions,
    follow: bool,
    lines: int,
    after_seq: int | None,
    job: str | None,
    watcher: str | None,
    types: tuple[str, ...],
    output: str,
) -> None:
    """Show events: as a table, or as CloudEvents with -o json|jsonl|yaml."""
    wanted = EventFilter(
        after_seq=after_seq or 0, watcher=watcher, job_id=job, types=types, newest=after_seq is None, limit=lines
    )
    if follow and output == "json":
        output = "jsonl"  # one object has an end, this has none
    with state_of(options) as state:
        source = f"/reconciler/{state.identity()}"
        found = state.events(wanted)
        rows: Iterator[Any] = (row_of(event, source, output) for event in found)
        empty = "no event fits" if state.last_seq() else "nothing has happened yet"
        emit(list(rows), COLUMNS, output, name="events", empty=empty)
        last = found[-1].seq if found else wanted.after_seq
    if follow:
        _follow(options, wanted, last, output)


def row_of(event: Event, source: str, output: str) -> dict[str, Any]:
    """Return an event as a table shows it, or as the CloudEvent that programs get."""
    if output != "table":
        return to_cloudevent(event, source)
    what = event.type.removeprefix("reconciler.").removesuffix(".v1")
    text = event.action_result or (event.matched_text or "")
    return {
        "seq": event.seq,
        "at": event.at,
        "what": f"{event.action_type} {what.partition('.')[2]}" if event.action_type else what,
        "subject": event.subject,
        "text": text[:200],
    }


def _follow(options: GlobalOptions, wanted: EventFilter, last: int, output: str) -> None:
    """Show what comes, from a fresh look at the state each time (a daemon may replace what we read)."""
    from reconciler import app  # saves start-up time: it knows every class

    settings = app.load_settings(options.config)
    if settings.client.url is not None:
        from reconciler.client.following import available  # saves start-up time: httpx

        if available():
            asyncio.run(_listen(settings, options, wanted, last, output))
    while True:
        time.sleep(_FOLLOW)
        with state_of(options) as state:
            last = _show_new(state, wanted, last, output)


async def _listen(settings: Settings, options: GlobalOptions, wanted: EventFilter, last: int, output: str) -> None:
    """Show what a server says as it says it; where it says that we missed too much, ask for that."""
    from reconciler.cli.remote import follow
    from reconciler.client.remote import event_of

    with state_of(options) as state:
        source = f"/reconciler/{state.identity()}"
    async for message in follow(settings, wanted.job_id, last):
        if message["type"] == "refetch":
            with state_of(options) as state:
                last = _show_new(state, wanted, last, output)
        elif "event" in message:
            event = event_of(message["event"])
            if event.seq > last and _is_wanted(event, wanted):
                _show(event, source, output)
            last = max(last, event.seq)


def _is_wanted(event: Event, wanted: EventFilter) -> bool:
    return (not wanted.types or event.type in wanted.types) and wanted.watcher in (None, event.watcher)


def _show_new(state: StateReading, wanted: EventFilter, last: int, output: str) -> int:
    found = state.events(
        EventFilter(after_seq=last, watcher=wanted.watcher, job_id=wanted.job_id, types=wanted.types, limit=10_000)
    )
    source = f"/reconciler/{state.identity()}"
    for event in found:
        _show(event, source, output)
    return found[-1].seq if found else last


def _show(event: Event, source: str, output: str) -> None:
    row = row_of(event, source, output)
    if output == "table":
        click.echo(f"{row['seq']:>6}  {time.strftime('%H:%M:%S', time.localtime(event.at))}  {_line(row)}")
    else:
        emit([row], COLUMNS, output)


def _line(row: dict[str, Any]) -> str:
    from reconciler.cli.text import safe

    return safe(f"{row['what']}  {row['subject']}  {row['text']}")
