"""`reconcile serve [DIR...]`: the daemon with its HTTP face; needs the extra `api`."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.daemon import signals, stopped_by, tell_pass
from reconciler.cli.options import GlobalOptions
from reconciler.cli.output import note
from reconciler.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from reconciler.settings import Settings

#: What the extra `api` brings.
_NEEDED = ("cryptography", "fastapi", "fastapi_offline", "h11", "prometheus_client", "uvicorn", "websockets")
_EPILOG = """\
\b
Examples:
  reconcile serve ./watchers.d              HTTPS on 127.0.0.1:8443; prints a URL that signs a browser in, once
  reconcile serve --socket ~/.reconcile.sock
  reconcile serve --bind 0.0.0.0 --certificate site.pem
\b
Programs need a key: `reconcile apikey create NAME`.
"""


@click.command(epilog=_EPILOG)
@click.argument("directories", nargs=-1, type=click.Path(readable=False, path_type=Path), metavar="[DIR]...")
@click.option("--bind", metavar="ADDRESS", help="Listen on this address (default: `api.bind`, 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port; 0: any (default: `api.port`, 8443).")
@click.option(
    "--socket", "path", type=click.Path(path_type=Path), help="Listen on a Unix socket for this account alone."
)
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="PEM file.")
@click.option("--certificate-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its key.")
@click.option("--insecure-http", is_flag=True, help="Speak plain HTTP on the port: whoever listens in reads the keys.")
@click.option("--no-link", is_flag=True, help="Print no one-time URL.")
@click.option(
    "--approve", is_flag=False, flag_value="yes", default="", metavar="[DIGEST]",
    help="Say yes to what waits for approval in the first pass.",
)  # fmt: skip
@click.pass_obj
def command(options: GlobalOptions, /, directories: tuple[Path, ...], **words: Any) -> None:
    """Keep watchers as the files in DIR say, and serve the API and the web pages beside.

    HTTPS with a certificate of its own, unless you give one. Nobody gets in without a key or the URL that is printed.
    """
    from reconciler import app  # saves start-up time: it knows every class

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"`serve` needs {', '.join(missing)}, not installed here", remedy="pip install 'reconciler[api]'"
        )
    if words["path"] and (words["bind"] or words["port"] is not None):
        raise UsageError("--socket stands in place of an address", remedy="give either --socket or --bind and --port")
    settings = _settings(app.load_settings(options.config), words)
    asyncio.run(_serve(settings, directories, words))


def _settings(settings: Settings, words: dict[str, Any]) -> Settings:
    """Return the settings with what the command line says on top."""
    named = {"bind": "bind", "port": "port", "path": "socket", "certificate": "certificate",
             "certificate_key": "certificate_key"}  # fmt: skip
    said = {setting: words[word] for word, setting in named.items() if words[word] is not None}
    if words["bind"] is not None or words["port"] is not None:
        said["socket"] = None
    return settings.model_copy(update={"api": settings.api.model_copy(update=said)})


def host_names(settings: Settings) -> list[str]:
    """Return the names by which the server may be called."""
    api = settings.api
    names = ["localhost", "127.0.0.1", "::1", *api.hosts]
    if api.socket is None:
        names.append(api.bind)
        try:
            away = not ipaddress.ip_address(api.bind).is_loopback
        except ValueError:
            away = True
        names += [socket.gethostname()] if away else []
    return list(dict.fromkeys(_asked_for(name) for name in names if name not in ("0.0.0.0", "::")))  # noqa: S104


def _asked_for(name: str) -> str:
    """Return a name as clients ask for it, and certificates have it: in ASCII. Raises ConfigurationError."""
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError as error:
        raise ConfigurationError(f"{name!r} in `api.hosts` is no name of a host", remedy="mend it there") from error


async def _serve(settings: Settings, directories: tuple[Path, ...], words: dict[str, Any]) -> None:
    from reconciler import app
    from reconciler.api import certificates, listening
    from reconciler.api.feed import Feed

    api = settings.api
    plain = api.socket is not None or words["insecure_http"]
    feed = Feed(api.subscribers, api.subscriber_queue)
    identity = None if plain else _identity(settings, certificates)
    if identity is not None:
        identity.context()  # a bad certificate is told before anything starts
    told = signals()
    async with (
        app.engine(settings, directories, sinks=[feed]) as engine,
        stopped_by(told, engine.daemon.stop),
    ):
        bound = listening.bind_path(api.socket) if api.socket else listening.bind_port(api.bind, api.port)
        try:
            async with app.face(engine, settings, feed, hosts=host_names(settings), secure=not plain) as application:
                server = listening.make_server(application, identity=identity, sockets=api.subscribers)
                server.on_started = lambda: _announce(settings, listening.address_of(bound), identity, words)
                engine.daemon.on_pass = tell_pass()
                await listening.run_beside(engine.daemon, server, bound, feed, approve=words["approve"])
        finally:
            bound.close()
            if api.socket is not None:
                api.socket.unlink(missing_ok=True)


def _identity(settings: Settings, certificates: Any) -> Any:
    from reconciler import app

    if settings.api.certificate is not None:
        return certificates.Identity(settings.api.certificate, settings.api.certificate_key)
    folder = app.state_path(settings).parent / "tls"
    return certificates.self_signed(folder, host_names(settings))


def _announce(settings: Settings, address: tuple[str, int], identity: Any, words: dict[str, Any]) -> None:
    """Say where it listens, and print the URL that signs a browser in."""
    import time

    from reconciler import app
    from reconciler.api.keys import LINK_LIFE, KeyKind, Keyring, Scope

    if settings.api.socket is not None:
        note(f"listening on {address[0]} (for this account alone)")
        return
    name = f"[{address[0]}]" if ":" in address[0] else address[0]
    name = {"0.0.0.0": socket.gethostname(), "[::]": socket.gethostname()}.get(name, name)  # noqa: S104 - shown
    url = f"{'https' if identity else 'http'}://{name}:{address[1]}"
    note(f"listening on {url}")
    if identity is not None and identity.fingerprint:
        note(f"self-signed certificate, SHA-256 {identity.fingerprint}")
    if words["insecure_http"]:
        note("plain HTTP: whoever can listen in on the connection reads keys and output")
    if not words["no_link"]:
        now = time.time()
        keyring = Keyring(app.keys_path(settings))
        _, token = keyring.create("browser", Scope.ADMIN, now, kind=KeyKind.LINK, expires=now + LINK_LIFE)
        click.echo(f"{url}/login?token={token}")
        note("the URL above signs one browser in, once, within an hour")
