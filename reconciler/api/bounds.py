"""What surrounds every request: its body comes whole, in time and not too large; its answer has the security headers.

Two small pieces of ASGI; routes never see a half body.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.api.refusals import Refusal, send_refusal

#: No script, style or connection but our own; no frame, no plugin, no form to elsewhere. `data:` are icons in styles.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class SecurityHeaders:
    """Puts the headers on every answer, refusals too. Caches ask of static files whether they changed."""

    def __init__(self, app: ASGIApp, pages: frozenset[str]) -> None:
        self._app, self._pages = app, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the answer's headers completed."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache" if scope["path"] in self._pages else "no-store")
            await send(message)

        await self._app(scope, receive, sending)


#: A body this much too large is still taken, and thrown away, so that its sender reads the answer and no reset.
_SWALLOWED = 8


class _TooLargeError(Exception):
    """More bytes came than may; no error of the house. `swallowed`: nothing of them is left on the way."""

    def __init__(self, swallowed: bool) -> None:
        super().__init__()
        self.swallowed = swallowed


class WholeBodies:
    """Reads a request's body before its route runs: at most `most` bytes (413), within `timeout` seconds (408)."""

    def __init__(self, app: ASGIApp, most: int, timeout: float) -> None:
        self._app, self._most, self._timeout = app, most, timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on with the body at hand, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            first: Message | None = await asyncio.wait_for(self._whole(scope, receive), self._timeout)
        except _TooLargeError as error:
            refusal = Refusal(code="too-large", detail=f"the body has more than {self._most} bytes")
            await send_refusal(scope, receive, send, 413, refusal, unread=not error.swallowed)
            return
        except TimeoutError:
            refusal = Refusal(code="too-slow", detail=f"the body did not come within {self._timeout:g} s")
            await send_refusal(scope, receive, send, 408, refusal, unread=True)
            return

        async def replay() -> Message:
            nonlocal first
            if first is None:
                return await receive()
            message, first = first, None
            return message

        await self._app(scope, replay, send)

    async def _whole(self, scope: Scope, receive: Receive) -> Message:
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared[:20]) > self._most * _SWALLOWED:
            raise _TooLargeError(False)
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return message
            size += len(message.get("body", b""))
            if size > self._most * _SWALLOWED:
                raise _TooLargeError(False)
            if size <= self._most:
                parts.append(message.get("body", b""))
            if message.get("more_body", False):
                continue
            if size > self._most:
                raise _TooLargeError(True)
            return {"type": "http.request", "body": b"".join(parts), "more_body": False}
