"""The ways to reach people that an operator names in the settings (`channels`), and the secrets in them.

Watchers name a channel, never an address that is a secret. `app` reads the raw settings with `read_channels`; the
notifying actions take what they need. A secret may stand in the settings, in a file or in a variable of the daemon,
and is only ever shown as `**********`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr, StringConstraints, TypeAdapter, ValidationError, model_validator

from reconciler.errors import ConfigurationError, PermanentActionError
from reconciler.settings import Duration, Section

#: No dash in front (an option of a mail program), no blanks, commas or `$`: nobody's output picks recipients.
Address = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+=-]{0,63}(@[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?)?$"),
]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]


class SecretPlace(Section):
    """`{file: /path}` or `{env: NAME}`: where a secret is read from each time it is needed."""

    file: Path | None = None
    env: str | None = None

    @model_validator(mode="after")
    def _one(self) -> SecretPlace:
        if (self.file is None) == (self.env is None):
            raise ValueError("give `file` or `env`")
        return self


Secret = SecretStr | SecretPlace


def reveal(secret: Secret, what: str) -> str:
    """Return the secret itself. Raises PermanentActionError, which names `what` it is for and never its text."""
    if isinstance(secret, SecretStr):
        return secret.get_secret_value()
    try:
        found = os.environ.get(secret.env, "") if secret.env else (secret.file or Path()).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentActionError(f"{what}: {secret.file} cannot be read: {type(error).__name__}") from None
    if not found:
        raise PermanentActionError(f"{what}: {secret.env or secret.file} is empty or not there")
    return found


class SlackChannel(Section):
    """An incoming webhook of Slack, or of what takes the same (Mattermost, Rocket.Chat)."""

    type: Literal["slack"]
    webhook: Annotated[Secret, Field(description="address of the webhook; it is the secret")]
    timeout: Annotated[Duration, Field(gt=0, le=120)] = 15.0


class EmailChannel(Section):
    """Who gets e-mail; how it is sent stands in `actions.notify_email`."""

    type: Literal["email"]
    to: Annotated[tuple[Address, ...], Field(min_length=1, max_length=50)]


class AppriseChannel(Section):
    """Everything that Apprise knows: `discord://...`, `tgram://...`, `ntfy://...`. Needs `reconciler[notify]`."""

    type: Literal["apprise"]
    urls: Annotated[tuple[Secret, ...], Field(min_length=1, max_length=20, description="each of them is a secret")]
    timeout: Annotated[Duration, Field(gt=0, le=120)] = 30.0


Channel = Annotated[SlackChannel | EmailChannel | AppriseChannel, Field(discriminator="type")]
Channels = Mapping[str, SlackChannel | EmailChannel | AppriseChannel]

#: Validates the raw `channels` of the settings, and gives their JSON Schema.
CHANNELS: TypeAdapter[dict[str, SlackChannel | EmailChannel | AppriseChannel]] = TypeAdapter(dict[ChannelName, Channel])


def read_channels(raw: Mapping[str, Any]) -> Channels:
    """Return the channels of the settings, raw or read already. Raises ConfigurationError, which shows no value."""
    try:
        return CHANNELS.validate_python(dict(raw))
    except ValidationError as error:
        wrong = [f"channels.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        # `from None`: the exception holds what was written, which may be a secret.
        raise ConfigurationError("; ".join(wrong), remedy="see the channels in the README of the actions") from None


def pick(channels: Channels, kind: type[BaseModel], name: str | None, word: str) -> tuple[str, Any]:
    """Return name and channel: the one named, or the only one of its kind. Raises PermanentActionError."""
    fitting = {key: channel for key, channel in channels.items() if isinstance(channel, kind)}
    if name is None and len(fitting) == 1:
        return next(iter(fitting.items()))
    if name in fitting:
        return name, fitting[name]
    known = ", ".join(sorted(fitting)) or "none"
    asked = f"there is no {word} channel {name!r}" if name else f"name one of the {word} channels"
    raise PermanentActionError(
        f"{asked} (known: {known})", remedy="an operator names channels in the settings, under `channels`"
    )


def quiet(*loggers: str) -> None:
    """Let these libraries log nothing, errors neither: what they say holds whole addresses, which are the secrets here.

    What of it matters is said by the action that called them. They may set levels of their own: two things stop them.
    """
    for name in loggers:
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
        if not logger.handlers:  # else Python prints it on standard error
            logger.addHandler(logging.NullHandler())
