"""The gate: every request and every WebSocket passes it before any route sees them, and what no rule opens is closed.

It asks, in this order: is it for us (Host, against DNS rebinding), does another site send it (Origin, fetch metadata),
who is it, has it asked too often, may it do that. It never reads a body and knows no route but by its path.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from reconciler.api.callers import Caller, caller_of
from reconciler.api.keys import Keyring, Scope
from reconciler.api.limits import Limits, address_name
from reconciler.api.refusals import Refusal, RequestRefusedError, send_refusal
from reconciler.errors import ReconcilerError

log = logging.getLogger(__name__)

#: Bytes of all headers of a request together.
MOST_HEADERS = 16 * 1024
#: Paths for everybody; what they tell is no secret.
OPEN = frozenset({"/healthz", "/readyz", "/login"})
#: Requests that change nothing but who one is, or carry a body and change nothing.
ASKING = frozenset(
    {"/api/validate", "/api/patterns/test", "/api/selectors/test", "/api/watchers/preview", "/api/session"}
)
#: Requests that make keys.
RULING = frozenset({"/api/session/links"})
_HOST = re.compile(
    r"(?P<name>[^:\[\]]+)(:[0-9]{1,5})?|\[(?P<six>[^\[\]]+)\](:[0-9]{1,5})?|(?P<bare>[0-9a-f.]*:[0-9a-f.]*:[0-9a-f.:]*)"
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Audit(Protocol):
    """Where refusals worth knowing are told."""

    def refused(self, caller: Caller, what: str, why: str) -> None:
        """Take note, soon and not too often."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What the gate goes by. `hosts`: names and addresses by which we may be called, lower case, without a port.

    `pages`: paths of static files, which anybody may have. Times come from `now` (epoch) and `monotonic`.
    """

    hosts: frozenset[str]
    pages: frozenset[str]
    secure: bool
    now: Callable[[], float]
    monotonic: Callable[[], float]


def host_name(header: str) -> str:
    """Return the name in a Host header: without port, lower case, IPv6 without brackets; "" where it is none."""
    parts = _HOST.fullmatch(header.strip().lower())
    return (parts["name"] or parts["six"] or parts["bare"]) if parts else ""


def needed(method: str, path: str, pages: Iterable[str]) -> Scope | None:
    """Return the scope that a request needs; None: it is for everybody."""
    if path in OPEN or (path in pages and method in _SAFE):
        return None
    if path in RULING:
        return Scope.ADMIN
    return Scope.READ if method in _SAFE or path in ASKING else Scope.WRITE


class Gate:
    """ASGI around the whole application. `scope["caller"]` says afterwards who it is."""

    def __init__(
        self, app: ASGIApp, rules: Rules, keyring: Keyring, strangers: Limits, known: Limits, audit: Audit
    ) -> None:
        self._app, self._rules, self._keyring = app, rules, keyring
        self._strangers, self._known, self._audit = strangers, known, audit

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            scope["caller"] = self._admitted(scope)
        except RequestRefusedError as error:
            headers = _headers(error)
            unread = _has_body(scope)
            await send_refusal(scope, receive, send, error.status, error.refusal, headers, unread=unread)
            return
        except (
            ReconcilerError
        ) as error:  # the file of the keys: nobody comes in, and strangers are not told where it is
            log.error("nobody is let in: %s (%s)", error.message, error.remedy)
            refusal = Refusal(code="keys-unavailable", detail="the keys cannot be read; the server's log says why")
            await send_refusal(scope, receive, send, 503, refusal, unread=_has_body(scope))
            return
        await self._app(scope, receive, send)

    def _admitted(self, scope: Connection) -> Caller:
        headers = Headers(scope=scope)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADERS:
            raise RequestRefusedError(431, "large-headers", f"the headers have more than {MOST_HEADERS} bytes")
        if "content-length" in headers and "transfer-encoding" in headers:  # a proxy may believe the other one
            raise RequestRefusedError(400, "bad-request", "the length of the body is told in two ways")
        method = scope.get("method", "GET")
        path = scope["path"]
        self._check_host(scope, headers)
        address = (scope.get("client") or ("unix", 0))[0]
        caller = caller_of(headers, self._keyring, address, self._rules.secure, self._rules.now())
        scope_needed = needed(method, path, self._rules.pages)
        self._check_rate(caller, free=path in self._rules.pages and method in _SAFE)
        what = f"{method} {path}" if scope["type"] == "http" else f"WebSocket {path}"
        try:
            self._check_site(scope, headers, caller, method, open_=scope_needed is None)
            _check_scope(caller, scope_needed)
        except RequestRefusedError as error:
            self._audit.refused(caller, what, error.message)
            raise
        return caller

    def _check_host(self, scope: Connection, headers: Headers) -> None:
        """A name that is none of ours was made to point here by somebody else; an address cannot be made to."""
        reached = str((scope.get("server") or ("",))[0]).lower()
        name = host_name(headers["host"]) if len(headers.getlist("host")) == 1 else ""
        if not name or name not in (*self._rules.hosts, reached):
            raise RequestRefusedError(
                421, "wrong-host", "the Host header names somebody else",
                remedy="call it by a name it knows, or add this one to `api.hosts`",
            )  # fmt: skip

    def _check_rate(self, caller: Caller, *, free: bool) -> None:
        now = self._rules.monotonic()
        if caller.key is not None:
            wait = self._known.wait(caller.key.id, now)
        else:
            wait = 0.0 if free else self._strangers.wait(address_name(caller.address), now)
        if wait > 0:
            raise _TooManyError(wait)

    def _check_site(self, scope: Connection, headers: Headers, caller: Caller, method: str, *, open_: bool) -> None:
        """Refuse what a page of another site makes a browser send; programs send no Origin, and hold a key."""
        origin = headers.get("origin")
        if len(headers.getlist("origin")) > 1:
            raise _foreign("the request says more than once which page it comes from (Origin)")
        if origin is not None and origin != self._own_origin(headers):
            raise _foreign(f"the request comes from {origin[:100]}")
        if not open_ and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise _foreign("the browser says that another site sends this")
        writes = scope["type"] == "websocket" or method not in _SAFE
        if writes and caller.browser and origin is None:
            raise _foreign("a browser's request must say which page it comes from (Origin)")

    def _own_origin(self, headers: Headers) -> str:
        return f"{'https' if self._rules.secure else 'http'}://{headers['host'].lower()}"


def _has_body(scope: Connection) -> bool:
    headers = Headers(scope=scope)
    return scope["type"] == "http" and (headers.get("content-length", "0") != "0" or "transfer-encoding" in headers)


def _check_scope(caller: Caller, scope: Scope | None) -> None:
    if scope is None or (caller.scope is not None and caller.scope.covers(scope)):
        return
    if caller.scope is None:
        wrong = "this key is not valid (any more)" if caller.claimed else "a key is needed"
        raise RequestRefusedError(
            401, "no-key", wrong, remedy="send `Authorization: Bearer KEY`; `reconcile apikey create` makes one"
        )
    raise RequestRefusedError(
        403, "scope", f"the key has the scope {caller.scope}, this needs {scope}",
        remedy=f"`reconcile apikey create --scope {scope}`",
    )  # fmt: skip


def _foreign(detail: str) -> RequestRefusedError:
    return RequestRefusedError(403, "foreign-origin", detail, remedy="open the pages of this server itself")


class _TooManyError(RequestRefusedError):
    """Asked too often; `wait` seconds until there is room."""

    def __init__(self, wait: float) -> None:
        super().__init__(429, "too-many-requests", "too many requests", remedy=f"wait {wait:.0f} s, or use a key")
        self.wait = wait


def _headers(error: RequestRefusedError) -> Mapping[str, str]:
    if isinstance(error, _TooManyError):
        return {"Retry-After": str(int(error.wait) + 1)}
    return {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}


__all__ = ["Audit", "Gate", "Refusal", "Rules", "host_name", "needed"]
