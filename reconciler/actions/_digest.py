"""What one message says that stands for several notifications: how many they are, and each of them, oldest first.

The notifying actions call it. The text is bounded: what has no room is left for the next message, never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.actions._message import LINE_CHARACTERS, REPEAT, MessageParams, own_text, sendable
from reconciler.errors import UnavailableError
from reconciler.protocols import ActionContext

#: Characters of one entry, however many there are; of few, each has its share of the message.
ENTRY_CHARACTERS = 1000
#: The last lines of outputs are read for so many entries; of more only what was said.
MOST_TAILS = 20


@dataclass(frozen=True, slots=True)
class Item:
    """One notification. `heading`: what it would have had as its subject, fit to be sent as it is."""

    context: ActionContext
    params: MessageParams
    heading: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One message for the first `taken` of the items."""

    taken: int
    title: str
    text: str


async def listed(
    items: Sequence[Item],
    most: int,
    *,
    escape: Callable[[str], str] = str,
    block: Callable[[str], str] = str,
) -> Listed:
    """Return the message for as many of the items as `most` characters hold, at least the first.

    `escape` and `block` as of `_message.body`.
    """
    room = most - LINE_CHARACTERS * 2  # for the heading
    share = max(min(ENTRY_CHARACTERS, room), room // len(items) - 1)
    entries: list[str] = []
    used = 0
    for item in items:
        entry = await _entry(item, share, len(items) <= MOST_TAILS, escape, block)
        used += len(entry) + 1
        if entries and used > room:
            break
        entries.append(entry)
    taken = items[: len(entries)]
    title = _title(taken)
    more = f" {len(items) - len(taken)} more follow." if len(taken) < len(items) else ""
    text = "\n".join([f"{escape(title)}. Times are UTC.{more}", "", *entries])
    return Listed(len(taken), sendable(title), sendable(text))


def _title(items: Sequence[Item]) -> str:
    watchers = sorted({str(item.context.watcher.name) for item in items})
    jobs = {item.context.job.key for item in items}
    whose = watchers[0] if len(watchers) == 1 else f"{len(watchers)} watchers"
    which = f"job {next(iter(jobs)).id}" if len(jobs) == 1 else f"{len(jobs)} jobs"
    return f"{len(items)} notifications of {whose[: LINE_CHARACTERS // 2]}, {which}"


async def _entry(
    item: Item, most: int, with_tail: bool, escape: Callable[[str], str], block: Callable[[str], str]
) -> str:
    context = item.context
    at = datetime.fromtimestamp(context.trigger.at, UTC).strftime("%H:%M:%S")
    marked = f" {REPEAT}" if context.repeat else ""
    said = own_text(context, escape)
    if said is None:  # the heading names watcher and job already
        match = context.trigger.match
        said = escape(match.text if match else str(context.trigger.kind))
    text = _cut(f"- {at} {item.heading}:{marked} " + "\n  ".join(said.splitlines()), most)
    if not with_tail or not item.params.tail_lines or context.tail is None:
        return text
    try:
        lines = escape(await context.tail(item.params.tail_lines))
    except UnavailableError:
        lines = "(the last lines cannot be read now)"
    left = most - len(text) - 20
    return f"{text}\n{block(lines[-left:])}" if left > 0 else text


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
