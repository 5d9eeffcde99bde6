"""`reconcile apikey create|list|revoke|link`: keys of the API, of which only hashes are kept."""

from __future__ import annotations

import time
from typing import Any

import click

from reconciler.cli.options import GlobalOptions, add_to
from reconciler.cli.output import Column, Form, emit, note, output_option
from reconciler.errors import UsageError

_EPILOG = """\
\b
Examples:
  reconcile apikey create ci --scope write --expires 90d
  reconcile apikey create dashboard                          reads only
  reconcile apikey create bot --scope write --actions log_event,notify
  reconcile apikey list
  reconcile apikey revoke ci
  reconcile apikey link                                      another URL that signs a browser in
"""
_COLUMNS = (
    Column("id"),
    Column("name"),
    Column("kind"),
    Column("scope", form=Form.STATE),
    Column("actions"),
    Column("created", form=Form.AGE),
    Column("expires", form=Form.TIME),
)


class _Group(click.Group):
    """Gives the subcommands the global options too."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        return add_to(found) if found else None


@click.group(cls=_Group, epilog=_EPILOG)
def command() -> None:
    """Make, list and withdraw keys of the API. A running server takes note at once."""


@command.command()
@click.argument("name")
@click.option(
    "--scope", type=click.Choice(["read", "write", "admin"]), default="read", show_default=True,
    help="read: look; write: change watchers; admin: sign browsers in, too.",
)  # fmt: skip
@click.option("--expires", metavar="DURATION", help="Valid for so long: 12h, 90d (default: until it is revoked).")
@click.option("--actions", metavar="TYPE,...", help="Only these action types in watchers written with it.")
@click.pass_obj
def create(options: GlobalOptions, name: str, scope: str, expires: str | None, actions: str | None) -> None:
    """Make a key called NAME and print it; it is shown this once."""
    from reconciler.api.keys import Scope

    if not name.isprintable() or not 0 < len(name.strip()) <= 80:
        raise UsageError("the name of a key is 1 to 80 printable characters", remedy="choose another")
    now = time.time()
    ring = _keyring(options)
    if any(key.name == name and key.kind == "key" and key.alive(now) for key in ring.entries()):
        raise UsageError(f"there is a key {name!r} already", remedy="revoke it first, or choose another name")
    end = now + _seconds(expires) if expires else None
    _, token = ring.create(name, Scope(scope), now, expires=end, actions=_types(actions))
    click.echo(token)
    note(f"only its hash is kept, in {ring.path}; send it as `Authorization: Bearer KEY`")


def _types(words: str | None) -> tuple[str, ...] | None:
    from reconciler import app  # saves start-up time: it knows every class

    if words is None:
        return None
    types = tuple(word.strip() for word in words.split(",") if word.strip())
    unknown = sorted(set(types) - set(app.action_plugins()))
    if unknown:
        raise UsageError(f"no action type is called {unknown[0]}", remedy=f"known: {', '.join(app.action_plugins())}")
    return types


def _seconds(text: str) -> float:
    from pydantic import TypeAdapter, ValidationError

    from reconciler.settings import Duration

    try:
        found: float = TypeAdapter(Duration).validate_python(text)
    except ValidationError as error:
        raise UsageError(f"--expires {text!r} is no duration", remedy="write 12h or 90d") from error
    return found


@command.command("list")
@output_option()
@click.pass_obj
def list_(options: GlobalOptions, output: str) -> None:
    """List keys, sessions of browsers and links that wait to be used."""
    now = time.time()
    rows = [
        {
            "id": key.id, "name": key.name, "kind": key.kind.value, "scope": key.scope.value,
            "actions": "all" if key.actions is None else ",".join(key.actions), "created": key.created,
            "expires": key.expires,
        }
        for key in _keyring(options).entries() if key.alive(now)
    ]  # fmt: skip
    emit(rows, _COLUMNS, output, name="keys", empty="there are no keys")


@command.command()
@click.argument("words", nargs=-1, required=True, metavar="ID|NAME...")
@click.pass_obj
def revoke(options: GlobalOptions, words: tuple[str, ...]) -> None:
    """Withdraw keys and sessions, by id or by name; they stop working at once."""
    ring = _keyring(options)
    for word in words:
        for key in ring.revoke(word):
            click.echo(f"revoked {key.kind.value} {key.id} ({key.name})")


@command.command()
@click.pass_obj
def link(options: GlobalOptions) -> None:
    """Print another one-time path that signs a browser in; put the server's address before it."""
    from reconciler.api.keys import LINK_LIFE, KeyKind, Scope

    now = time.time()
    _, token = _keyring(options).create("browser", Scope.ADMIN, now, kind=KeyKind.LINK, expires=now + LINK_LIFE)
    click.echo(f"/login?token={token}")
    note("good for one browser, once, within an hour")


def _keyring(options: GlobalOptions) -> Any:
    from reconciler import app
    from reconciler.api.keys import Keyring

    return Keyring(app.keys_path(app.load_settings(options.config)))
