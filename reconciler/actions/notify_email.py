"""notify_email: e-mail by SMTP where the settings name a server, else by `mail` on the job's host.

Recipients come from the watcher's file or the settings, never from a job's output, and only ones that the settings
allow. Passwords appear in no result, error or log. What a capture puts into the subject stays one header.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from reconciler.actions._delivery import Delivery
from reconciler.actions._digest import Item, listed
from reconciler.actions._lineage import digest
from reconciler.actions._message import HEADING, REPEAT, MessageParams, body, heading, one_line
from reconciler.actions._rendered import read
from reconciler.actions.channels import (
    Address,
    ChannelName,
    Channels,
    EmailChannel,
    Secret,
    pick,
    read_channels,
    reveal,
)
from reconciler.errors import HostUnreachableError, PermanentActionError, TemporaryActionError
from reconciler.protocols import ActionContext, ActionTraits, AfterCrash, Limit, Together
from reconciler.registry import Plugin
from reconciler.settings import Duration, Section
from reconciler.spec.watcher import ActionSpec

_DIGEST_CHARACTERS = 100_000
_REMEDY = "an operator may mend actions.notify_email.smtp in the settings"


def _as_list(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Addresses = Annotated[tuple[Address, ...], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]


class SmtpSettings(Section):
    """A mail server. `security`: from the first byte, after a greeting, or never (a relay on this machine)."""

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["tls", "starttls", "plain"] = "starttls"
    user: str | None = None
    password: Secret | None = None
    ca_file: Annotated[str | None, Field(description="certificates to trust, where the system's do not do")] = None
    timeout: Annotated[Duration, Field(gt=0, le=300)] = 30.0


class NotifyEmailSettings(Section):
    """`actions.notify_email` in the settings."""

    smtp: Annotated[SmtpSettings | None, Field(description="left out: `mail` on the job's host")] = None
    sender: Annotated[Address, Field(description="From: of what goes by SMTP")] = "reconciler@localhost"
    to: Annotated[Addresses, Field(description="who gets it where a watcher names nobody; empty: the job's user")] = ()
    allow_to: Annotated[tuple[str, ...], Field(description="globs of addresses that a watcher may write to")] = ("*",)


class NotifyEmailParams(MessageParams):
    """To whom, and what."""

    to: Annotated[Addresses, Field(max_length=20, description="addresses; no `$name` here")] = ()
    channel: Annotated[ChannelName | None, Field(description="an e-mail channel of the settings, in place of `to`")] = (
        None
    )
    subject: Annotated[str, Field(description="one line; `$name` is replaced")] = HEADING


class NotifyEmailSpec(ActionSpec):
    """Send an e-mail."""

    type: Literal["notify_email"]
    params: NotifyEmailParams = NotifyEmailParams()


class NotifyEmail:
    """One message to all recipients."""

    def __init__(self, settings: NotifyEmailSettings, channels: Channels) -> None:
        self._settings = settings
        self._channels = channels

    async def run(self, context: ActionContext) -> str:
        """Send. Raises TemporaryActionError where the server is away or busy, PermanentActionError where it says no.

        So, too, where it says either to some recipients alone: those who have the mail do not get it twice.
        """
        params = read(NotifyEmailParams, context.params)
        delivery = self._delivery(context, params)
        subject = one_line(f"{REPEAT if context.repeat else ''} {heading(context, 'subject')}")
        text = await body(context, params)
        delivery = await self._send(context, delivery, subject, text, context.mark)
        if (error := delivery.error()) is not None:
            raise error
        return delivery.told()

    def address(self, context: ActionContext) -> str:
        """Return the recipients, who had it before, and the host where it is its `mail` that takes it.

        Raises PermanentActionError.
        """
        delivery = self._delivery(context, read(NotifyEmailParams, context.params))
        host = "" if self._settings.smtp is not None else f"{context.job.host}: "
        before = f" after {', '.join(sorted([*delivery.got, *delivery.refused]))}" if context.progress else ""
        return host + ", ".join(sorted(delivery.to)) + before

    async def run_together(self, contexts: Sequence[ActionContext]) -> Together:
        """Send one message for several, all to the same people. Raises as `run`."""
        every = [read(NotifyEmailParams, context.params) for context in contexts]
        items = [
            Item(context, params, heading(context, "subject")) for context, params in zip(contexts, every, strict=True)
        ]
        message = await listed(items, _DIGEST_CHARACTERS)
        again = REPEAT if any(context.repeat for context in contexts[: message.taken]) else ""
        mark = " ".join(context.mark for context in contexts[: message.taken])
        delivery = self._delivery(contexts[0], every[0])
        delivery = await self._send(contexts[0], delivery, one_line(f"{again} {message.title}"), message.text, mark)
        result = f"{delivery.told()}, {message.taken} notifications as one message"
        return Together(message.taken, result, delivery.error())

    async def _send(self, context: ActionContext, delivery: Delivery, subject: str, text: str, mark: str) -> Delivery:
        if not delivery.to:
            return delivery
        if self._settings.smtp is None:
            await _mail(context, delivery.to, subject, text)
            return delivery.after({})
        message = self._message(delivery.everybody(), subject, text, mark)
        return delivery.after(await _smtp(self._settings.smtp, delivery.to, message))

    def _delivery(self, context: ActionContext, params: NotifyEmailParams) -> Delivery:
        user = context.job.user
        every = recipients(params, self._settings, self._channels) or read(NotifyEmailParams, {"to": user}).to
        return Delivery.of(every, context.progress)

    def _message(self, to: Sequence[str], subject: str, text: str, mark: str) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._settings.sender
        message["To"] = ", ".join(to)
        message["Subject"] = subject.replace("=?", "=\u200b?")  # else it is read as RFC 2047 has it, also by `email`
        message["Date"] = formatdate()
        message["Message-ID"] = (
            f"<{digest(mark)}@reconciler.invalid>"  # the same for a repeat: readers see that it is one
        )
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        return message


def recipients(params: NotifyEmailParams, settings: NotifyEmailSettings, channels: Channels) -> tuple[str, ...]:
    """Return who gets it, none where that is the job's user. Raises PermanentActionError."""
    if params.channel is not None:
        _, channel = pick(channels, EmailChannel, params.channel, "email")
        return tuple(channel.to)
    for address in params.to:
        if not any(fnmatchcase(address, glob) for glob in settings.allow_to):
            raise PermanentActionError(
                f"{address} is none of the addresses that watchers may write to",
                refused=True,
                remedy="an operator may add it to actions.notify_email.allow_to",
            )
    return params.to or settings.to


async def _mail(context: ActionContext, to: Sequence[str], subject: str, text: str) -> None:
    # A line that begins with ~ is a command to some mail programs, even where nobody sits at them.
    lines = "".join(f" {line}\n" if line.startswith("~") else f"{line}\n" for line in text.splitlines())
    try:
        done = await context.transport.run(["mail", "-s", subject, *to], stdin=lines.encode(), timeout=60.0, limit=4096)
    except (HostUnreachableError, TimeoutError) as error:
        raise TemporaryActionError(f"mail on {context.job.host} did not answer: {error}") from error
    if done.status == 127:
        raise PermanentActionError(
            f"there is no `mail` on {context.job.host}", remedy="name a server in actions.notify_email.smtp"
        )
    if done.status != 0:
        raise TemporaryActionError(
            f"mail ended with {done.status}: {done.stderr.decode(errors='replace').strip()[:200]}"
        )


async def _smtp(server: SmtpSettings, to: Sequence[str], message: EmailMessage) -> Mapping[str, tuple[int, str]]:
    """Send, and return who was refused, by which answer."""
    # Imported on the first message: most watchers send none.
    import aiosmtplib

    password = None if server.password is None else reveal(server.password, "SMTP password")
    context = _trust(server) if server.security != "plain" else None
    try:
        refused, _ = await aiosmtplib.send(
            message,
            recipients=list(to),
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=password,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=context,
            timeout=server.timeout,
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        return {each.recipient: (each.code, each.message) for each in error.recipients}
    except aiosmtplib.SMTPAuthenticationError as error:  # without its words: some servers repeat what they were given
        raise _refusal(error.code, "it does not take this user and password") from None
    except aiosmtplib.SMTPResponseException as error:
        raise _refusal(error.code, error.message) from None
    except (aiosmtplib.SMTPException, OSError) as error:
        raise TemporaryActionError(f"{server.host} was not reached: {type(error).__name__}") from None
    except UnicodeError:
        raise PermanentActionError(f"{server.host[:80]!r} can be no name of a server", remedy=_REMEDY) from None
    return refused


def _trust(server: SmtpSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=server.ca_file)
    except OSError as error:
        why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise PermanentActionError(f"ca_file {server.ca_file} cannot be used: {why}", remedy=_REMEDY) from None


def _refusal(code: int, said: str) -> TemporaryActionError | PermanentActionError:
    """RFC 5321, 4.2.1: 4xx may be tried again, 5xx may not."""
    text = f"the mail server answered {code}: {one_line(said)}"
    return TemporaryActionError(text) if 400 <= code < 500 else PermanentActionError(text)


def make(section: BaseModel | None, channels: Mapping[str, Any]) -> NotifyEmail:
    """Return the action under these settings, with these channels."""
    return NotifyEmail(_settings(section), read_channels(channels))


def _settings(section: BaseModel | None) -> NotifyEmailSettings:
    return section if isinstance(section, NotifyEmailSettings) else NotifyEmailSettings()


def check(params: BaseModel, section: BaseModel | None, channels: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """Return that a recipient or channel is not allowed, where it is not."""
    if not isinstance(params, NotifyEmailParams):
        return ()
    try:
        recipients(params, _settings(section), read_channels(channels))
    except PermanentActionError as error:
        return (error.message,)
    return ()


PLUGIN = Plugin(
    "notify_email",
    NotifyEmailSpec,
    make,
    settings=NotifyEmailSettings,
    traits=ActionTraits(limit=Limit.DEFER, after_crash=AfterCrash.RERUN_MARKED, retry=True, digest=True),
    check=check,
)
