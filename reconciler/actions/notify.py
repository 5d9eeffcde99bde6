"""notify: every other way to reach people, by Apprise: Discord, Telegram, ntfy, Teams, ...

Apprise (https://github.com/caronc/apprise) is an extra (`pip install 'reconciler[notify]'`), imported when the first
message is sent. It tells success or failure and no more, so every failure is worth another try. The channel's
addresses are secrets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from reconciler.actions._digest import Item, listed
from reconciler.actions._message import HEADING, MessageParams, body, heading, one_line, unmentioned
from reconciler.actions._rendered import read
from reconciler.actions.channels import AppriseChannel, ChannelName, Channels, pick, quiet, read_channels, reveal
from reconciler.errors import PermanentActionError, TemporaryActionError
from reconciler.protocols import ActionContext, ActionTraits, AfterCrash, Limit, Together
from reconciler.registry import Plugin
from reconciler.spec.watcher import ActionSpec

#: From the least to the most urgent.
_LEVELS = ("success", "info", "warning", "failure")
_REMEDY = "see how this service is written at https://appriseit.com/services/, and mend `channels` in the settings"
_DIGEST_CHARACTERS = 20_000  # or what the service takes, where that is less


class NotifyParams(MessageParams):
    """Where to, and what."""

    channel: Annotated[
        ChannelName | None, Field(description="a name under `channels` in the settings; left out: the only one")
    ] = None
    title: Annotated[str, Field(description="heading, one line; `$name` is replaced")] = HEADING
    level: Literal["info", "success", "warning", "failure"] = "info"


class NotifySpec(ActionSpec):
    """Notify through Apprise."""

    type: Literal["notify"]
    params: NotifyParams = NotifyParams()


class Notify:
    """One message to all addresses of one channel."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def run(self, context: ActionContext) -> str:
        """Send. Raises TemporaryActionError where Apprise says that it failed, or does not say in time."""
        params = read(NotifyParams, context.params)
        name, channel = self._channel(params)
        sender = _sender(name, channel)
        title, text = heading(context, "title", unmentioned), await body(context, params, escape=unmentioned)
        await _send(name, channel, sender, text, title, params.level)
        return f"sent to {name}"

    def address(self, context: ActionContext) -> str:
        """Return the name of the channel. Raises PermanentActionError."""
        return self._channel(read(NotifyParams, context.params))[0]

    async def run_together(self, contexts: Sequence[ActionContext]) -> Together:
        """Send one message for several, all of one channel, as urgent as the most urgent. Raises as `run`."""
        every = [read(NotifyParams, context.params) for context in contexts]
        name, channel = self._channel(every[0])
        sender = _sender(name, channel)
        items = [
            Item(context, params, heading(context, "title", unmentioned))
            for context, params in zip(contexts, every, strict=True)
        ]
        most = min(_DIGEST_CHARACTERS, *(server.body_maxlen for server in sender))
        message = await listed(items, most, escape=unmentioned)
        level = max((params.level for params in every[: message.taken]), key=_LEVELS.index)
        await _send(name, channel, sender, message.text, message.title, level)
        return Together(message.taken, f"sent to {name}, {message.taken} notifications as one message")

    def _channel(self, params: NotifyParams) -> tuple[str, AppriseChannel]:
        return pick(self._channels, AppriseChannel, params.channel, "apprise")


async def _send(name: str, channel: AppriseChannel, sender: Any, text: str, title: str, level: str) -> None:
    try:
        async with asyncio.timeout(channel.timeout):
            sent = await sender.async_notify(body=text, title=one_line(title), notify_type=level)
    except TimeoutError:
        raise TemporaryActionError(f"{name} did not answer within {channel.timeout:g} s") from None
    if not sent:
        raise TemporaryActionError(f"{name} did not take the message")


def _sender(name: str, channel: AppriseChannel) -> Any:
    addresses = [reveal(url, f"address of {name}") for url in channel.urls]
    try:
        # An extra, and slow to import.
        import apprise
    except ImportError:
        raise PermanentActionError("Apprise is not installed", remedy="pip install 'reconciler[notify]'") from None
    quiet("apprise", "urllib3", "requests_oauthlib", "oauthlib")
    sender = apprise.Apprise()
    for number, address in enumerate(addresses, start=1):
        if not sender.add(address):
            raise PermanentActionError(f"address {number} of {name} is none that Apprise knows", remedy=_REMEDY)
    return sender


def make(section: BaseModel | None, channels: Mapping[str, Any]) -> Notify:
    """Return the action with these channels."""
    return Notify(read_channels(channels))


def check(params: BaseModel, section: BaseModel | None, channels: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """Return that the channel is not known, where it is not."""
    try:
        pick(read_channels(channels), AppriseChannel, getattr(params, "channel", None), "apprise")
    except PermanentActionError as error:
        return (error.message,)
    return ()


PLUGIN = Plugin(
    "notify",
    NotifySpec,
    make,
    traits=ActionTraits(limit=Limit.DEFER, after_crash=AfterCrash.RERUN_MARKED, retry=True, digest=True),
    check=check,
)
