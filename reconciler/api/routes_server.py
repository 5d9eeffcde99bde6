"""Routes of the server itself: health, metrics, signing in, the documentation with its files from here."""

from __future__ import annotations

import html
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from prometheus_client import CollectorRegistry

from reconciler import __version__
from reconciler.api.callers import cookie_name
from reconciler.api.desk import Desk
from reconciler.api.exposition import CONTENT_TYPE, exposition
from reconciler.api.keys import Key
from reconciler.api.refusals import RequestRefusedError, documented
from reconciler.api.reports import Health, LinkShape, Readiness, SessionShape
from reconciler.api.routes_watchers import caller_from
from reconciler.api.shaping import maybe, moment
from reconciler.errors import ReconcilerError, UsageError

_SWAGGER = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_START = """\
window.addEventListener("load", () => {
  SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
});
"""
_DOCS = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>The API of reconcile</title>
<link rel="icon" href="/docs/favicon.png"><link rel="stylesheet" href="/docs/swagger-ui.css">
<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></head>
<body><div id="docs"></div></body></html>
"""


def routes(desk: Desk, registry: CollectorRegistry, home: str) -> APIRouter:
    """Return the routes. `home`: where a browser that was signed in is led."""
    router = APIRouter(responses=documented(400, 401, 403, 405, 408, 413, 421, 422, 429, 431, 503))
    _add_health(router, desk, registry)
    _add_sessions(router, desk, home)
    return router


def _add_health(router: APIRouter, desk: Desk, registry: CollectorRegistry) -> None:
    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz", tags=["server"])
    async def alive() -> Health:
        """Say that the process is alive."""
        return Health(status="ok")

    @router.head("/readyz", include_in_schema=False)
    @router.get("/readyz", tags=["server"], responses={503: {"model": Readiness}})
    async def ready() -> Response:
        """Say whether it does its work: 200 or 503."""
        found = Readiness(ready=False, checks=await _checks(desk))
        found = found.model_copy(update={"ready": not any(found.checks.values())})
        return JSONResponse(found.model_dump(), 200 if found.ready else 503)

    @router.get(
        "/metrics", tags=["server"], responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
    )
    async def prometheus() -> Response:
        """Return metrics for Prometheus."""
        return Response(await exposition(desk, registry), media_type=CONTENT_TYPE)


async def _checks(desk: Desk) -> Mapping[str, str]:
    """Return what was looked at, and what is wrong with it; hosts that do not answer are no fault of ours."""
    checks = {"engine": "" if desk.controller.plan is not None else "the first pass is not over yet", "state": ""}
    try:
        await desk.reading.ask(lambda state: state.last_seq())
    except ReconcilerError as error:
        checks["state"] = error.message
    return checks


def _add_sessions(router: APIRouter, desk: Desk, home: str) -> None:
    settings = desk.parts.settings.api

    @router.get("/login", tags=["server"], status_code=303, response_class=RedirectResponse)
    async def sign_in(request: Request, token: Annotated[str, Query(max_length=100)]) -> Response:
        """Use a one-time URL up: sets the session's cookie and leads to the pages."""
        now = desk.parts.clock.now()
        made = desk.keyring.redeem(token, now, settings.session)
        if made is None and home == "/" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/sign-in?problem=used-link", 303)
        if made is None:
            raise RequestRefusedError(
                403,
                "used-link",
                "this link was used already, or is too old",
                remedy="`reconcile apikey link` makes one",
            )
        response = RedirectResponse(home, 303)
        _remember(response, desk, made[1])
        return response

    @router.get("/api/session", tags=["server"])
    async def who_am_i(request: Request) -> SessionShape:
        """Say who one is to this server, and what one may do."""
        key = caller_from(request).key
        assert key is not None  # noqa: S101 - the gate lets nobody else through
        return _session(desk, key)

    @router.post("/api/session", tags=["server"], status_code=201)
    async def sign_in_with_key(request: Request, response: Response) -> SessionShape:
        """Sign a browser in with the key that this request carries: sets the session's cookie."""
        caller = caller_from(request)
        key = caller.key
        assert key is not None  # noqa: S101 - the gate lets nobody else through
        if not caller.browser:
            key, token = desk.keyring.sign_in(key, desk.parts.clock.now(), settings.session)
            _remember(response, desk, token)
            await desk.audit.written(caller, "signed a browser in", "browser")
        return _session(desk, key)

    @router.delete("/api/session", tags=["server"], status_code=204)
    async def sign_out(request: Request) -> Response:
        """End this browser's session."""
        caller = caller_from(request)
        if caller.browser and caller.key is not None:
            with suppress(UsageError):  # it was ended at this very moment, by another request
                desk.keyring.revoke(caller.key.id)
        response = Response(status_code=204)
        response.delete_cookie(cookie_name(desk.secure), path="/", secure=desk.secure, httponly=True, samesite="strict")
        return response

    @router.post("/api/session/links", tags=["server"], status_code=201)
    async def make_link(request: Request) -> LinkShape:
        """Make a one-time URL that signs a browser in, to what its maker may do; needs the scope admin."""
        caller = caller_from(request)
        assert caller.key is not None  # noqa: S101 - the gate lets nobody else through
        link, token = desk.keyring.link(caller.key, desk.parts.clock.now())
        await desk.audit.written(caller, "made a link", "browser")
        url = f"{'https' if desk.secure else 'http'}://{request.headers['host']}/login?token={token}"
        assert link.expires is not None  # noqa: S101 - every link has an end
        return LinkShape(url=url, expires=moment(link.expires))


def _remember(response: Response, desk: Desk, token: str) -> None:
    response.set_cookie(
        cookie_name(desk.secure), token, max_age=int(desk.parts.settings.api.session), path="/", secure=desk.secure,
        httponly=True, samesite="strict",
    )  # fmt: skip


def _session(desk: Desk, key: Key) -> SessionShape:
    return SessionShape(
        name=key.name, scope=key.scope.value, expires=maybe(key.expires), version=__version__, state=desk.identity
    )


def add_documentation(app: FastAPI) -> None:
    """Add `/docs`: Swagger UI, whole from this machine, started by a file so that the strict CSP holds."""
    folder = files("fastapi_offline") / "static"

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> HTMLResponse:
        return HTMLResponse(_DOCS)

    @app.get("/docs/{name}", include_in_schema=False)
    async def documentation_file(name: str) -> Response:
        if name == "start.js":
            return Response(_START, media_type="text/javascript")
        if name not in _SWAGGER:
            raise RequestRefusedError(404, "not-found", f"there is no {html.escape(name)}")
        return Response((folder / name).read_bytes(), media_type=_SWAGGER[name])
