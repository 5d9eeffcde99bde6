"""A server's WebSocket as an asynchronous iterator that goes on over dropped connections and restarts of the server.

`reconcile events --follow` runs on it where `client.url` names a server; users import it. The library is that of the
extra `api`, and imported when it is first used.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from os import PathLike
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reconciler.client.http import bearing, refused, trusting, web_address
from reconciler.errors import ConfigurationError, HostUnreachableError, RefusedError
from reconciler.logic.addresses import public

if TYPE_CHECKING:
    from websockets.asyncio.client import connect

#: Seconds before a lost connection is made again, at first and at most.
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
#: Bytes that one message may have: `initial` holds a page of watchers.
_LARGEST = 64 * 1024 * 1024
#: The server closes with it where the key is not valid any more (RFC 6455, 7.4.1).
_POLICY = 1008


def available() -> bool:
    """Tell whether the library that this needs is installed."""
    try:
        import websockets.asyncio.client  # noqa: F401 - only whether it is there
    except ImportError:
        return False
    return True


async def follow(
    url: str,
    key: str = "",
    *,
    certificate: str | PathLike[str] | None = None,
    job_id: str | None = None,
    since: int | None = None,
) -> AsyncIterator[dict[str, Any]]:
    """Yield every message of the server but heartbeats, as its documentation lists them; each has `type` and `seq`.

    `url`, `key`, `certificate` as for `Client`. `since`: the last seq that one has, so that what was missed comes
    first; without it `initial` does. Where more was missed than the server sends again, `refetch` comes.

    Raises HostUnreachableError where nobody answers at first, RefusedError where the key is not (or no longer) valid,
    ConfigurationError where the library is missing or `url` is none. A connection that is lost later is made again for
    as long as it takes.
    """
    wait, connected = FIRST_WAIT, False
    while True:
        try:
            async with _connection(url, key, certificate, job_id, since) as socket:
                wait, connected = FIRST_WAIT, True
                async for text in socket:
                    message: dict[str, Any] = json.loads(text)
                    if message["type"] != "heartbeat":
                        yield message
                        since = int(message["seq"])  # less than before where the server has another state now
        except Exception as error:  # noqa: BLE001 - the library's tree is known where it is installed: `_judge` raises
            _judge(url, error, connected)
        await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all clients come back at once
        wait = min(LONGEST_WAIT, wait * 2)


def _judge(url: str, error: Exception, connected: bool) -> None:
    """Raise what the caller is to know; return where the connection is to be made again."""
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

    if isinstance(error, InvalidStatus):
        _judge_refusal(url, error.response.status_code, bytes(error.response.body or b""), error)
    if isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.code == _POLICY:
        raise RefusedError(public(f"{url}: {error.rcvd.reason}"), remedy="see that the key is valid") from error
    if not isinstance(error, (OSError, InvalidHandshake, InvalidURI, ConnectionClosed)):
        raise error
    if not connected:
        raise HostUnreachableError(
            public(f"{url} does not answer as a reconciler does: {error or type(error).__name__}"),
            remedy="is `reconcile serve` running there, and its certificate trusted (`client.certificate`)?",
        ) from error


def _judge_refusal(url: str, status: int, body: bytes, error: Exception) -> None:
    """Raise where it would be refused the next time, too."""
    if status == 401:
        raise RefusedError(public(f"{url} lets nobody in with this key"), remedy="see `client.key_file`") from error
    if status in (403, 404, 421, 422):
        with suppress(ValueError):
            raise refused(status, json.loads(body)) from error


def _connection(
    url: str, key: str, certificate: str | PathLike[str] | None, job_id: str | None, since: int | None
) -> connect:
    """Return what connects when it is entered."""
    try:
        from websockets.asyncio.client import connect, unix_connect
    except ImportError as error:
        raise ConfigurationError(
            "following needs the library websockets", remedy="pip install 'reconciler[api]'"
        ) from error
    path = "/ws/watchers" + (f"/{quote(job_id, safe='')}" if job_id else "")
    path += f"?since={since}" if since is not None else ""
    more: dict[str, Any] = {
        "additional_headers": bearing(key),
        "max_size": _LARGEST,
        "proxy": None,  # as for requests
    }
    if url.startswith("unix://"):
        return unix_connect(url.removeprefix("unix://"), f"ws://localhost{path}", **more)
    address = web_address(url)
    trust: ssl.SSLContext | None = trusting(certificate) if address.startswith("https:") else None
    return connect(address.rstrip("/").replace("http", "ws", 1) + path, ssl=trust, **more)
