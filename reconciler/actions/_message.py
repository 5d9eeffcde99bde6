"""What a notification says: the author's text, the news that it may be a repeat, and the last lines of the output."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field

from reconciler.logic.substitution import render
from reconciler.protocols import ActionContext
from reconciler.spec.watcher import SpecModel

REPEAT = "(may be a repeat: an earlier attempt was interrupted)"
BODY_CHARACTERS = 20_000
LINE_CHARACTERS = 200
#: What a message is headed with where its author says nothing.
HEADING = "${WATCHER}: job ${JOB_ID}"
#: Surrogates that stand for no byte; no source of ours makes them.
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
#: Mentions: `@all` (Mattermost, Rocket.Chat), `<@123>` (Discord), `<!channel>` (Slack); no part of an address. Other
#: text may stand before and behind it; Discord, by Apprise, sees `@here` and `@123` wherever they stand.
_MENTION = re.compile(r"(?<!\w)@(?=[\w&!]|\Z)|@(?=(?:all|channel|everyone|here)\b|\d)|(?:\A|(?<=<))!(?=\w|\Z)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


class MessageParams(SpecModel):
    """What every notification can have."""

    message: Annotated[
        str | None, Field(description="text; `$name` is replaced; left out: what matched, and where")
    ] = None
    tail_lines: Annotated[
        int, Field(ge=0, le=200, description="so many last lines of the watched output follow the text")
    ] = 0


def sendable(text: str) -> str:
    """Return text that every channel can carry: bytes of a job's name or output that were no UTF-8 become U+FFFD."""
    return _NO_BYTE.sub("\ufffd", text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def unmentioned(text: str) -> str:
    """Return text with an invisible space in everything that a service could take for a mention of somebody."""
    return _MENTION.sub("\\g<0>\u200b", text)


def one_line(text: str) -> str:
    """Return text for a header: control characters are blanks, the length is bounded, every channel can carry it."""
    return _CONTROL.sub(" ", sendable(text)).strip()[:LINE_CHARACTERS]


def summary(context: ActionContext) -> str:
    """Return what is said where the author says nothing."""
    match = context.trigger.match
    seen = f": {match.text}" if match else f" ({context.trigger.kind})"
    return f"{context.watcher.name}: job {context.job.id} ({context.job.name}) on {context.job.host}{seen}"


async def body(
    context: ActionContext,
    params: MessageParams,
    *,
    escape: Callable[[str], str] = str,
    block: Callable[[str], str] = str,
) -> str:
    """Return the text to send, at most BODY_CHARACTERS, `sendable`.

    `escape` is applied to everything that does not come from the watcher's author; `block` sets the last lines off.
    """
    text = own_text(context, escape)
    parts = [(escape(summary(context)) if text is None else text)[:BODY_CHARACTERS]]
    if context.repeat:
        parts.append(REPEAT)
    if params.tail_lines and context.tail is not None:
        lines = await context.tail(params.tail_lines)
        parts.append(block(escape(lines[-BODY_CHARACTERS:])))
    return sendable("\n\n".join(parts))


def own_text(context: ActionContext, escape: Callable[[str], str] = str) -> str | None:
    """Return what the watcher's author says, with escaped captures; None where nothing is said."""
    template = context.template.get("message")
    return render(str(template), _escaped(context.values, escape)) if template else None


def heading(context: ActionContext, parameter: str, escape: Callable[[str], str] = str) -> str:
    """Return the one line that a parameter heads the message with, with escaped captures."""
    return one_line(render(str(context.template.get(parameter, HEADING)), _escaped(context.values, escape)))


def _escaped(values: Mapping[str, Any], escape: Callable[[str], str]) -> dict[str, str | None]:
    return {name: None if value is None else escape(str(value)) for name, value in values.items()}
