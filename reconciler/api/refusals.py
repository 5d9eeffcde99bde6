"""How the API says no: one shape for every refusal, and which status each error of the house becomes.

Used by the gate before anything is done, and by routes through exception handlers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, Field
from starlette.types import Receive, Scope, Send

from reconciler.errors import (
    ConditionError,
    ConfigurationError,
    Problem,
    ReconcilerError,
    RefusedError,
    SpecError,
    UnavailableError,
    UsageError,
)


class Flaw(BaseModel):
    """One thing that is wrong in what was sent."""

    where: str = Field(description="the field, as dotted path, or line and column")
    message: str
    remedy: str = ""
    line: int = 0
    column: int = 0
    field: str = Field("", description="what is meant, as `actions[0].params.message`; empty: no one field")


class Refusal(BaseModel):
    """Why a request was not done."""

    code: str = Field(description="stable, for programs")
    detail: str = Field(description="what is wrong, for people")
    remedy: str = Field("", description="what to do about it")
    problems: list[Flaw] = Field([], description="everything that is wrong in what was sent")
    yaml: str = Field("", description="where a file that the API may not write owns the watcher: what to commit there")
    file: str = Field("", description="that file")
    line: int = 0
    patch: str = Field("", description="the same as a patch for `git apply`, where that file's text is at hand")


class RequestRefusedError(ReconcilerError):
    """Carries the status and the shape of a refusal from where it is decided to where it is answered."""

    def __init__(self, status: int, code: str, detail: str, *, remedy: str = "", **more: Any) -> None:
        super().__init__(detail, remedy=remedy)
        self.status = status
        self.refusal = Refusal(code=code, detail=detail, remedy=remedy, **more)


class NotThereError(RequestRefusedError):
    """What was asked for does not exist (404)."""

    def __init__(self, detail: str, *, remedy: str = "") -> None:
        super().__init__(404, "not-found", detail, remedy=remedy)


class ConflictError(RequestRefusedError):
    """What was asked for does not go together with how things are (409)."""

    def __init__(self, code: str, detail: str, *, remedy: str = "", **more: Any) -> None:
        super().__init__(409, code, detail, remedy=remedy, **more)


#: What routes may answer beside what they are for; the schema lists them.
DOCUMENTED: Mapping[int, str] = {
    400: "the request cannot be understood",
    401: "no valid key",
    403: "the key may not do that, or the request comes from another site",
    404: "there is no such thing",
    405: "no such method here",
    408: "the request did not come whole in time",
    409: "it does not go together with how things are",
    412: "the watcher or its file is another than If-Match says",
    413: "the body is too large",
    421: "the Host header names somebody else",
    422: "a value is not allowed",
    429: "too many requests; `Retry-After` says when",
    431: "the headers are too large",
    503: "a host, a scheduler or the state does not answer; try again",
}


_REFS = "#/components/schemas/{model}"


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of routes: these statuses, or all.

    They name the shape, which `shapes_of_refusals` describes once: a model for each status of each route would have to
    be made ready when the server starts.
    """
    shape = {"schema": {"$ref": _REFS.format(model=Refusal.__name__)}}
    return {
        status: {"description": text, "content": {"application/json": shape}}
        for status, text in DOCUMENTED.items()
        if not statuses or status in statuses
    }


def shapes_of_refusals() -> dict[str, Any]:
    """Return the schemas that `documented` refers to, by name."""
    schema = Refusal.model_json_schema(ref_template=_REFS, mode="serialization")
    return {**schema.pop("$defs"), Refusal.__name__: schema}


def flaw_of(problem: Problem) -> Flaw:
    """Return a problem of a watcher as the API shows it."""
    where = problem.watcher or problem.file
    return Flaw(
        where=where, message=problem.message, remedy=problem.remedy, line=problem.line, column=problem.column,
        field=problem.field,
    )  # fmt: skip


def flawed(problems: Sequence[Problem], detail: str = "the watcher is not valid") -> RequestRefusedError:
    """Return the refusal of a watcher with these problems."""
    return RequestRefusedError(422, "invalid-watcher", detail, problems=[flaw_of(p) for p in problems])


def refusal_of(error: ReconcilerError) -> tuple[int, Refusal]:
    """Return status and shape for an error of the house; anything that is not the caller's doing is 503."""
    if isinstance(error, RequestRefusedError):
        return error.status, error.refusal
    if isinstance(error, SpecError):
        return 422, flawed(error.problems).refusal
    by_type: tuple[tuple[type[ReconcilerError] | tuple[type[ReconcilerError], ...], int, str], ...] = (
        ((ConfigurationError, ConditionError, UsageError), 422, "invalid"),
        (RefusedError, 409, "refused"),
        (UnavailableError, 503, "unavailable"),
        (ReconcilerError, 503, "state-unavailable"),
    )
    status, code = next((status, code) for types, status, code in by_type if isinstance(error, types))
    return status, Refusal(code=code, detail=error.message, remedy=error.remedy)


#: Seconds and bytes that what is left of a refused body is read for, so that its sender reads the answer and no reset.
LINGER = 2.0
_MOST_UNREAD = 8 * 1024 * 1024


async def send_refusal(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    refusal: Refusal,
    headers: Mapping[str, str] | None = None,
    *,
    unread: bool = False,
) -> None:
    """Answer outside of any route; a WebSocket is refused before it is opened.

    `unread`: the request's body is still on its way. The connection then ends soon, whatever comes of it.
    """
    body = refusal.model_dump_json(exclude_defaults=True).encode()
    sent = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    sent += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    sent += [(b"connection", b"close")] if unread else []
    kind = "http"
    if scope["type"] == "websocket":
        await receive()  # the opening, which is now answered
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.code})
            return
        kind = "websocket.http"
    await send({"type": f"{kind}.response.start", "status": status, "headers": sent})
    content = body if scope.get("method") != "HEAD" else b""
    if unread:
        await send({"type": f"{kind}.response.body", "body": content, "more_body": True})
        await _pour_away(receive)
        content = b""
    await send({"type": f"{kind}.response.body", "body": content})


async def _pour_away(receive: Receive) -> None:
    left = _MOST_UNREAD
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            while left > 0:
                message = await receive()
                if not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))
