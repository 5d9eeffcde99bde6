"""The socket and the server: bound before anything starts, bounded in all it takes, ended in order.

A port speaks HTTPS unless plain HTTP was asked for; a Unix socket speaks HTTP and has mode 0600.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from reconciler.api.bounds import SECURITY_HEADERS
from reconciler.api.callers import Caller
from reconciler.api.certificates import Identity
from reconciler.api.feed import Feed
from reconciler.api.limits import address_name
from reconciler.api.refusals import LINGER, Refusal, send_refusal
from reconciler.engine.daemon import Daemon
from reconciler.errors import ConfigurationError, RefusedError

#: Bytes of headers that have not come whole yet; the gate has the bound for those that have.
MOST_PENDING = 32 * 1024
#: Seconds that a client has for sending its headers.
HEADER_TIME = 10.0
#: Seconds that running requests have when the server ends.
GRACE = 3
#: Seconds that a client may take nothing of what is sent to it.
TAKE_TIME = 60.0
#: Connections beside WebSockets.
MOST_CONNECTIONS = 1000
#: Those of one address that showed no valid key; the oldest makes room for the next.
MOST_OF_STRANGERS = 200


_LARGE = Refusal(
    code="large-headers",
    detail=f"the headers have more than {MOST_PENDING} bytes",
    remedy="send fewer, or shorter ones",
)
_CROWDED = Refusal(code="too-many-connections", detail="too many connections are open", remedy="try again in a moment")
_UNREADABLE = Refusal(code="bad-request", detail="this is no valid HTTP/1.1", remedy="ask with an ordinary HTTP client")


async def _crowded(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a request, and end its connection: there are too many."""
    headers = {**SECURITY_HEADERS, "Cache-Control": "no-store", "Retry-After": "1", "Connection": "close"}
    await send_refusal(scope, receive, send, 503, _CROWDED, headers)


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that waits only so long: for headers, and for the rest of a body whose request is answered already.

    uvicorn's own waits for ever once a byte came. A body that is wanted has its time from `bounds.WholeBodies`.
    """

    _deadline: asyncio.TimerHandle | None = None
    _waiting: float | None = None
    _unreadable = _handed_over = False
    _began = 0.0
    _address = ""
    _most: int | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._most, self.limit_concurrency = self.limit_concurrency, None  # uvicorn's own refusal has another shape
        self._began = self.loop.time()
        if self.client is not None:  # on a Unix socket there is its owner alone
            self._address = address_name(self.client[0])
            self._make_room()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Read on, unless what came before made no sense."""
        if not self._unreadable:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the shape of all refusals; called while the error is handled."""
        large = getattr(sys.exception(), "error_status_hint", 400) == 431
        self._unreadable = True
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer is on its way already
            self.transport.close()
            return
        status, refusal = (431, _LARGE) if large else (400, _UNREADABLE)
        body = refusal.model_dump_json(exclude_defaults=True).encode()
        head = {**SECURITY_HEADERS, "Cache-Control": "no-store", "Content-Type": "application/json"}
        head |= {"Content-Length": str(len(body)), "Connection": "close"}
        answer = h11.Response(status_code=status, headers=list(head.items()), reason=HTTPStatus(status).phrase)
        for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event))
        if self.cycle is not None:  # who waits for the rest of a body waits in vain
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def handle_events(self) -> None:
        """Wait for the rest of the headers, or no more."""
        crowded = self._most is not None and len(self.connections) >= self._most
        self.app = _crowded if crowded else self.config.loaded_app
        super().handle_events()
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request, or not long for what is left of this one."""
        super().on_response_complete()
        self._watch()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand over; from here on pings tell whether anybody is there."""
        self._handed_over = True
        super().handle_websocket_upgrade(event)
        self._relax()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._relax()
        super().connection_lost(exc)

    def _make_room(self) -> None:
        """End the oldest of too many connections of strangers from here, so that a new one is heard at least."""
        alike = [each for each in self.connections if isinstance(each, PatientProtocol) and each.strange(self._address)]
        if len(alike) > MOST_OF_STRANGERS:
            min(alike, key=lambda each: each._began).transport.abort()

    def strange(self, address: str) -> bool:
        """Tell whether it comes from `address`, and the last request on it, if any, had no valid key."""
        if self._address != address:
            return False
        caller = self.scope.get("caller") if self.scope else None  # the gate puts it there
        return not (isinstance(caller, Caller) and caller.key)

    def _watch(self) -> None:
        seconds = None if self.transport.is_closing() else self._patience()
        if seconds == self._waiting:
            return  # what comes bit by bit gets no more time
        self._relax()
        if seconds is not None:
            self._waiting, self._deadline = seconds, self.loop.call_later(seconds, self.transport.close)

    def _patience(self) -> float | None:
        if self._handed_over:
            return None
        if self._unreadable:
            return LINGER
        if self.conn.their_state is h11.IDLE:
            return HEADER_TIME
        return LINGER if self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete else None

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._waiting = None


class QuietSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose refusal is no fault of ours, and not told as one: strangers would fill the log."""

    async def send(self, message: Any) -> None:
        """Send on. Raises ClientDisconnected where nobody is there to be accepted."""
        if message["type"] == "websocket.accept" and self.transport.is_closing():
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: who runs the engine decides when to end."""

    on_started: Callable[[], None] = staticmethod(lambda: None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def make_server(app: ASGIApp, *, identity: Identity | None, sockets: int) -> Server:
    """Return the server. `identity` None: plain HTTP. `sockets`: WebSockets at once."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of every bad request, which strangers can send
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws=QuietSocket,
        ws_max_size=64 * 1024,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        ws_per_message_deflate=False,  # costs more time than it saves on small messages
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=MOST_PENDING,
        limit_concurrency=MOST_CONNECTIONS + sockets,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE,
    )
    config.load()
    if identity is not None:
        config.ssl = identity.context()
    return Server(config)


def bind_port(address: str, port: int) -> socket.socket:
    """Return a listening socket. Raises ConfigurationError where the address is taken or none of ours."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # connections inherit it; they would stay for ever where their client reads no answer
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(TAKE_TIME * 1000))
            bound.bind(place)
            bound.listen(128)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {address} port {port}: {error.strerror or error}", remedy="choose another with --port"
        ) from error
    bound.setblocking(False)
    return bound


def bind_path(path: Path) -> socket.socket:
    """Return a listening Unix socket of mode 0600. One that nobody listens on any more is replaced.

    Raises RefusedError where somebody listens, or something else stands there.
    """
    _clear(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # so that it never has another mode, not for a moment
    try:
        bound.bind(str(path))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"cannot listen on {path}: {error.strerror or error}", remedy="name another"
        ) from error
    finally:
        os.umask(before)
    bound.setblocking(False)
    return bound


def _clear(path: Path) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {path}: {error.strerror}", remedy="name another") from error
    if not stat.S_ISSOCK(mode):
        raise RefusedError(f"{path} is there and no socket", remedy="name another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        try:
            knock.connect(str(path))
        except OSError:
            with suppress(FileNotFoundError):
                path.unlink()
            return
    raise RefusedError(f"somebody listens on {path} already", remedy="end that one, or name another path")


def address_of(bound: socket.socket) -> tuple[str, int]:
    """Return address and port of a bound socket; the path and 0 of a Unix socket."""
    name: Any = bound.getsockname()
    return (name, 0) if isinstance(name, str) else (str(name[0]), int(name[1]))


async def run_beside(daemon: Daemon, server: Server, bound: socket.socket, feed: Feed, *, approve: str = "") -> None:
    """Run engine and server until either ends or `daemon.stop` is called; then end both, at the same time.

    Raises what ended the engine, else what ended the server.
    """

    def end(*_: object) -> None:
        server.should_exit = True
        daemon.stop()
        feed.end()

    working = asyncio.create_task(daemon.run(approve=approve), name="engine")
    serving = asyncio.create_task(server.serve(sockets=[bound]), name="server")
    stopping = asyncio.create_task(daemon.stopped(), name="stopping")
    tasks = (working, serving, stopping)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        end()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
