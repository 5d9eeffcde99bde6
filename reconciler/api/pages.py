"""Addresses of the web pages: a browser that opens one gets `index.html`, whose program draws what stands there.

Only a navigation is answered so, told by what it accepts; programs get what the API says under that path.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
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


def read_pages(folder: Path) -> Mapping[str, Response]:
    """Return the answer for each path of a folder's static files, which are read once: they are small and never change.

    Nothing that comes into the folder later is served. `/` is `index.html`.
    """
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            content, kind = file.read_bytes(), mimetypes.guess_type(file.name)[0]
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[f"/{file.relative_to(folder).as_posix()}"] = Response(content, media_type=kind, headers={"ETag": tag})
    if "/index.html" in found:
        found["/"] = found["/index.html"]
    return found


class PageFiles:
    """Answers for the static files; whatever else is asked for is passed on."""

    def __init__(self, app: ASGIApp, pages: Mapping[str, Response]) -> None:
        self._app, self._pages = app, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the file, or that it is the one that the asker has."""
        page = (
            self._pages.get(scope["path"]) if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") else None
        )
        if page is None:
            await self._app(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match", "")
        tag = page.headers["etag"]
        same = tag in [each.strip().removeprefix("W/") for each in known.split(",")]
        await (Response(status_code=304, headers={"ETag": tag}) if same else page)(scope, receive, send)
