"""notify_slack: posts to an incoming webhook of Slack, or of what takes the same.

Text from the job's output is escaped, so it can neither mention anybody nor make links. The webhook's address is a
secret and appears in no result, error or log; of what a server says, a short word at most is shown. Format:
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field

from reconciler.actions._digest import Item, listed
from reconciler.actions._message import MessageParams, body, unmentioned
from reconciler.actions._rendered import read
from reconciler.actions.channels import ChannelName, Channels, SlackChannel, pick, quiet, read_channels, reveal
from reconciler.errors import PermanentActionError, TemporaryActionError
from reconciler.logic.addresses import plain_word
from reconciler.protocols import ActionContext, ActionTraits, AfterCrash, Limit, Together
from reconciler.registry import Plugin
from reconciler.spec.watcher import ActionSpec

if TYPE_CHECKING:
    import httpx

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_LONGEST_WAIT = 3600.0
_REMEDY = "an operator may mend the webhook of the channel, under `channels` in the settings"
_ANSWER_BYTES = 1000
_DIGEST_CHARACTERS = 35_000  # Slack cuts a text at 40,000


class NotifySlackParams(MessageParams):
    """Where to, and what."""

    channel: Annotated[
        ChannelName | None, Field(description="a name under `channels` in the settings; left out: the only one")
    ] = None


class NotifySlackSpec(ActionSpec):
    """Post to a Slack-compatible webhook."""

    type: Literal["notify_slack"]
    params: NotifySlackParams = NotifySlackParams()


class NotifySlack:
    """One post each; the dispatcher repeats what is worth repeating."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def run(self, context: ActionContext) -> str:
        """Post. Raises TemporaryActionError where the service is down or busy, else PermanentActionError."""
        params = read(NotifySlackParams, context.params)
        name, channel = pick(self._channels, SlackChannel, params.channel, "slack")
        text = await body(context, params, escape=_escape, block=_block)
        await _post(name, reveal(channel.webhook, f"webhook of {name}"), text, channel.timeout)
        return f"posted to {name}"

    def address(self, context: ActionContext) -> str:
        """Return the name of the channel. Raises PermanentActionError."""
        params = read(NotifySlackParams, context.params)
        return pick(self._channels, SlackChannel, params.channel, "slack")[0]

    async def run_together(self, contexts: Sequence[ActionContext]) -> Together:
        """Post one message for several, all of one channel. Raises as `run`."""
        items = [Item(each, read(NotifySlackParams, each.params), _escape(_about(each))) for each in contexts]
        name = self.address(contexts[0])
        channel = pick(self._channels, SlackChannel, name, "slack")[1]
        message = await listed(items, _DIGEST_CHARACTERS, escape=_escape, block=_block)
        await _post(name, reveal(channel.webhook, f"webhook of {name}"), message.text, channel.timeout)
        return Together(message.taken, f"posted to {name}, {message.taken} notifications as one message")


def _about(context: ActionContext) -> str:
    return f"{context.watcher.name}: job {context.job.id} ({context.job.name}) on {context.job.host}"


def _escape(text: str) -> str:
    return unmentioned(text.translate(_ESCAPES))


def _block(text: str) -> str:
    return "```\n" + text.replace("```", "'''") + "\n```"


async def _post(name: str, address: str, text: str, timeout: float) -> None:
    # Imported on the first message: most watchers send none, and it takes a third of the start-up time.
    import httpx

    quiet("httpx", "httpcore")
    # `from None`, here and below: the exception holds the request or the address.
    try:
        wrong = _wrong(httpx.URL(address))
    except (httpx.InvalidURL, UnicodeError):
        wrong = "cannot be read"
    if wrong:
        raise PermanentActionError(f"the webhook of {name} is no web address: it {wrong}", remedy=_REMEDY) from None
    try:
        async with (
            asyncio.timeout(timeout),  # httpx counts from one piece of the answer to the next
            httpx.AsyncClient(timeout=timeout, follow_redirects=False) as client,
            client.stream("POST", address, json={"text": text}, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            word = "" if answer.is_success else plain_word(await _beginning(answer), address)
    except httpx.TransportError as error:
        raise TemporaryActionError(f"{name} was not reached: {type(error).__name__}") from None
    except TimeoutError:
        raise TemporaryActionError(f"{name} did not answer within {timeout:g} s") from None
    _judge(name, answer.status_code, answer.headers.get("retry-after", ""), word)


async def _beginning(answer: httpx.Response) -> str:
    """Return what an answer says; one that has no end, or is too long for a word, says nothing."""
    said = b""
    async for piece in answer.aiter_raw():
        said += piece
        if len(said) > _ANSWER_BYTES:
            return ""
    return said.decode("ascii", "replace")


def _wrong(address: httpx.URL) -> str:
    """Return why no server can be called at this address, without any of it; nothing where one can."""
    if address.scheme not in ("http", "https"):
        return "does not begin with https:// or http://"
    if not address.host:
        return "names no server"
    if address.port is not None and not 1 <= address.port <= 65535:
        return "names a port that there is not (1 to 65535 there are)"
    return ""


def _judge(name: str, status: int, retry_after: str, word: str) -> None:
    """Raise what an answer means. `word`: what of it may be shown."""
    if 200 <= status < 300:
        return
    if status == 429 or status >= 500:
        delay = min(float(retry_after), _LONGEST_WAIT) if retry_after.isdecimal() else None
        raise TemporaryActionError(f"{name} answered with status {status}", delay=delay)
    raise PermanentActionError(f"{name} answered with status {status}" + (f": {word}" if word else ""), remedy=_REMEDY)


def make(section: BaseModel | None, channels: Mapping[str, Any]) -> NotifySlack:
    """Return the action with these channels."""
    return NotifySlack(read_channels(channels))


def check(params: BaseModel, section: BaseModel | None, channels: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """Return that the channel is not known, where it is not."""
    try:
        pick(read_channels(channels), SlackChannel, getattr(params, "channel", None), "slack")
    except PermanentActionError as error:
        return (error.message,)
    return ()


PLUGIN = Plugin(
    "notify_slack",
    NotifySlackSpec,
    make,
    traits=ActionTraits(limit=Limit.DEFER, after_crash=AfterCrash.RERUN_MARKED, retry=True, digest=True),
    check=check,
)
