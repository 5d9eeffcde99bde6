"""The whole application: routes inside, around them meter, bounds, gate and headers. `app` calls `make_app`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError, ValidationException, WebSocketRequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp

from reconciler import __version__
from reconciler.api import (
    routes_authoring,
    routes_events,
    routes_hosts,
    routes_jobs,
    routes_output,
    routes_plan,
    routes_server,
    routes_trying,
    routes_watchers,
    sockets,
)
from reconciler.api.bounds import SecurityHeaders, WholeBodies
from reconciler.api.desk import Desk
from reconciler.api.exposition import Meter, make_registry
from reconciler.api.gate import Gate, Rules
from reconciler.api.limits import Limits
from reconciler.api.pages import DeepLinks, PageFiles, read_pages
from reconciler.api.refusals import Flaw, Refusal, refusal_of, shapes_of_refusals
from reconciler.errors import ReconcilerError

log = logging.getLogger(__name__)

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
_ABOUT = """\
Watchers on batch jobs: what they watch for, what they did, and how they stand.

Send a key as `Authorization: Bearer KEY`, or sign a browser in by the one-time URL that `reconcile serve` prints.
WebSockets: `/ws/watchers` and `/ws/watchers/{job_id}`.
"""


def make_app(desk: Desk, hosts: Iterable[str], pages: Path | None = None) -> ASGIApp:
    """Return the ASGI application.

    `hosts`: names and addresses by which it may be called. `pages`: a folder of static files for everybody, with
    `index.html` at `/` and wherever a browser goes that is no address of the API.
    """
    registry = make_registry()
    answers = {} if pages is None else read_pages(pages)
    files = frozenset(answers)
    api = _routed(desk, registry, "/" if "/" in files else "/docs")
    settings, clock = desk.parts.settings.api, desk.parts.clock
    rules = Rules(frozenset(host.lower() for host in hosts), files, desk.secure, clock.now, clock.monotonic)
    strangers = Limits(settings.stranger_burst, settings.stranger_per_minute)
    known = Limits(settings.requests_per_minute, settings.requests_per_minute)
    inner = PageFiles(WholeBodies(api, settings.body_bytes, settings.body_timeout), answers)
    gate = Gate(inner, rules, desk.keyring, strangers, known, desk.audit)
    whole = SecurityHeaders(Meter(gate, registry), files)
    return DeepLinks(whole, files) if "/" in files else whole


def _routed(desk: Desk, registry: Any, home: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        auditing = asyncio.create_task(desk.audit.run(), name="audit")
        yield
        auditing.cancel()
        await asyncio.gather(auditing, return_exceptions=True)

    api = FastAPI(
        title="reconcile", version=__version__, description=_ABOUT, lifespan=lifespan, docs_url=None, redoc_url=None,
        swagger_ui_oauth2_redirect_url=None, redirect_slashes=False,
    )  # fmt: skip
    api.include_router(routes_events.routes(desk))  # before those of watchers, whose numbers stand where `events` does
    api.include_router(routes_authoring.routes(desk))
    api.include_router(routes_watchers.routes(desk))
    api.include_router(routes_jobs.routes(desk))
    api.include_router(routes_output.routes(desk))
    api.include_router(routes_hosts.routes(desk))
    api.include_router(routes_plan.routes(desk))
    api.include_router(routes_trying.routes(desk))
    api.include_router(routes_server.routes(desk, registry, home))
    api.include_router(sockets.routes(desk))
    routes_server.add_documentation(api)
    _complete_schema(api)
    api.add_exception_handler(ReconcilerError, _told)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(WebSocketRequestValidationError, _invalid_socket)
    api.add_exception_handler(HTTPException, _plain)
    api.add_exception_handler(Exception, _broken)
    return api


def _complete_schema(api: FastAPI) -> None:
    """Say in the schema how to authenticate, which the gate and no route does, and how requests are refused."""
    make = api.openapi

    def openapi() -> dict[str, Any]:
        schema = make()
        parts = schema.setdefault("components", {})
        parts.setdefault("schemas", {}).update(shapes_of_refusals())
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, item in schema["paths"].items():
            for operation in item.values():
                operation["security"] = [] if path in ("/healthz", "/readyz", "/login") else [{"key": []}]
        return schema

    api.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation says


def _answer(status: int, refusal: Refusal) -> JSONResponse:
    return JSONResponse(refusal.model_dump(exclude_defaults=True), status)


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, ReconcilerError)  # noqa: S101 - it is registered for these alone
    status, refusal = refusal_of(error)
    if status >= 500:
        log.warning("answered %s: %s", status, error.message)
    return _answer(status, refusal)


async def _invalid(asked: Request | WebSocket, error: Exception) -> Response:
    assert isinstance(error, ValidationException)  # noqa: S101 - it is registered for these alone
    flaws = [Flaw(where=".".join(map(str, each["loc"])), message=each["msg"]) for each in error.errors()]
    unread = flaws[0].where == "body" and "json" not in asked.headers.get("content-type", "").lower()
    remedy = "send JSON, and say so: `Content-Type: application/json`" if unread else ""
    refusal = Refusal(code="invalid-request", detail="a value is not allowed", remedy=remedy, problems=flaws[:50])
    return _answer(422, refusal)


async def _invalid_socket(socket: WebSocket, error: Exception) -> None:
    await socket.send_denial_response(await _invalid(socket, error))


async def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these alone
    codes = {404: "not-found", 405: "wrong-method", 400: "bad-request"}
    answer = _answer(error.status_code, Refusal(code=codes.get(error.status_code, "refused"), detail=str(error.detail)))
    answer.headers.update(error.headers or {})
    if error.status_code == 405:
        answer.headers["Allow"] = ", ".join(method for method in _METHODS if _takes(request, method))
    return answer


def _takes(request: Request, method: str) -> bool:
    """Tell whether a path takes a method. The framework asks its first route alone; each method has one of its own."""
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


async def _broken(_: Request, error: Exception) -> Response:
    """A fault of ours: told in full in the log alone, where the server puts it when it rises further."""
    return _answer(500, Refusal(code="internal", detail="this should not have happened; the server's log says more"))
