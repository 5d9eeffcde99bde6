"""Addresses of the web pages: a browser that opens one gets `index.html`, whose program draws what stands there.

Only a navigation is answered so, told by what it accepts; programs get what the API says under that path.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: First parts of paths that have an answer of their own for browsers, too. `/metrics` is a page to them.
OWN = frozenset({"api", "docs", "healthz", "login", "openapi.json", "readyz", "ws"})


def is_navigation(method: str, path: str, accept: str) -> bool:
    """Tell whether a browser asks for an address of the pages."""
    if method not in ("GET", "HEAD") or "text/html" not in accept.lower():
        return False
    return path.lstrip("/").partition("/")[0] not in OWN


class DeepLinks:
    """Turns navigations into requests for `/`. `pages`: paths of static files, which are what they are."""

    def __init__(self, app: ASGIApp, pages: frozenset[str]) -> None:
        self._app, self._pages = app, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, a navigation under another path."""
        if scope["type"] != "http" or scope["path"] in self._pages:
            await self._app(scope, receive, send)
            return
        if not is_navigation(scope["method"], scope["path"], Headers(scope=scope).get("accept", "")):
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).add_vary_header("Accept")
            await send(message)

        await self._app({**scope, "path": "/", "raw_path": b"/"}, receive, sending)
