"""One method for each endpoint of the API. Commands use it where `client.url` is set; users import it.

Synchronous; answers are plain values as the API documents them. Every failure is an error of the house.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from os import PathLike
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from reconciler.errors import (
    ConfigurationError,
    HostUnreachableError,
    ReconcilerError,
    RefusedError,
    UnavailableError,
    UsageError,
)
from reconciler.logic.addresses import public

#: Rows that one request brings, and watchers that one deletes: each is a file, and the answer must come in time.
PAGE, DELETED = 1000, 200
_BY_STATUS: Mapping[int, type[ReconcilerError]] = {
    400: UsageError, 401: RefusedError, 403: RefusedError, 404: UsageError, 409: RefusedError, 412: RefusedError,
    413: UsageError, 421: ConfigurationError, 422: ConfigurationError, 429: UnavailableError, 503: UnavailableError,
}  # fmt: skip


class Client:
    """A connection to one server.

    `url`: `https://host:port`, `http://...`, or `unix:///path` of a socket. `certificate`: PEM file of a self-signed
    certificate to trust beside the usual ones. `timeout` in seconds. All methods raise HostUnreachableError where
    nobody answers, RefusedError (no or a wrong key, a conflict), ConfigurationError (`url` or what was sent is not
    valid), UsageError (there is no such thing), UnavailableError (try again).
    """

    def __init__(
        self, url: str, key: str = "", *, certificate: str | PathLike[str] | None = None, timeout: float = 30.0
    ) -> None:
        self.url = url
        path = url.removeprefix("unix://") if url.startswith("unix://") else None
        address = "http://localhost" if path else web_address(url)
        verify = trusting(certificate) if address.startswith("https:") else False
        self._http = httpx.Client(
            base_url=address,
            headers=bearing(key),
            timeout=timeout,
            transport=httpx.HTTPTransport(uds=path) if path else httpx.HTTPTransport(verify=verify, retries=1),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    # --- watchers ---

    def watchers(self, **wanted: Any) -> Iterator[dict[str, Any]]:
        """Yield watchers, the newest first: `state, host, job_id, name, label, search` narrow."""
        yield from self._pages("/api/watchers", "watchers", wanted)

    def job_watchers(self, job_id: str) -> list[dict[str, Any]]:
        """Return the watchers of a job."""
        found: list[dict[str, Any]] = self._get(f"/api/jobs/{_part(job_id)}/watchers")["watchers"]
        return found

    def watcher(self, watcher_id: int, *, stopped: bool = False) -> dict[str, Any]:
        """Return one watcher with its `spec` and `yaml`; a deleted one only where `stopped`."""
        return self._get(f"/api/watchers/{watcher_id}", stopped=stopped)

    def create(self, **fields: Any) -> dict[str, Any]:
        """Create a watcher and return its `id`, `ids`, `name`, `file`, `watcher`."""
        return self._send("POST", "/api/watchers", fields)

    def edit(self, watcher_id: int, *, scope: str = "watcher", **fields: Any) -> dict[str, Any]:
        """Change fields of a watcher; None takes one out."""
        return self._send("PUT", f"/api/watchers/{watcher_id}", fields, scope=scope)

    def delete(self, watcher_id: int, *, scope: str = "watcher") -> dict[str, Any]:
        """Delete a watcher."""
        return self._send("DELETE", f"/api/watchers/{watcher_id}", None, scope=scope)

    def pause(self, watcher_id: int, reason: str = "", until: str | None = None) -> dict[str, Any]:
        """Hold a watcher still; `until` is ISO 8601."""
        return self._send("POST", f"/api/watchers/{watcher_id}/pause", {"reason": reason, "until": until})

    def resume(self, watcher_id: int, start: str = "checkpoint") -> dict[str, Any]:
        """Let a watcher go on, from its `checkpoint` or from the `end`."""
        return self._send("POST", f"/api/watchers/{watcher_id}/resume", {"from": start})

    def trigger(self, watcher_id: int) -> dict[str, Any]:
        """Let a watcher act once; `success` tells whether it did."""
        return self._send("POST", f"/api/watchers/{watcher_id}/trigger", None)

    def bulk(self, action: str, ids: list[int], **more: Any) -> list[dict[str, Any]]:
        """Do one thing to many watchers; return what became of each."""
        results: list[dict[str, Any]] = []
        size = DELETED if action == "delete" else PAGE
        for start in range(0, len(ids), size):
            body = {"action": action, "ids": ids[start : start + size], **more}
            results += self._send("POST", "/api/watchers/bulk", body)["results"]
        return results

    # --- what happened, and what there is ---

    def events(self, **wanted: Any) -> Iterator[dict[str, Any]]:
        """Yield events, the newest first: `job_id, hostname, watcher_id, watcher, type, all, since` narrow."""
        yield from self._pages("/api/watchers/events", "events", wanted)

    def events_after(self, seq: int, *, limit: int = PAGE, **wanted: Any) -> list[dict[str, Any]]:
        """Return up to `limit` events after this seq, the oldest first."""
        found: list[dict[str, Any]] = []
        while len(found) < limit:
            after = found[-1]["id"] if found else seq
            size = min(PAGE, limit - len(found))
            part = self._get("/api/watchers/events", after=after, limit=size, **wanted)["events"]
            found += part
            if len(part) < size:
                break
        return found

    def stats(self) -> dict[str, Any]:
        """Return counts of watchers and events."""
        return self._get("/api/watchers/stats")

    def jobs(self, **wanted: Any) -> Iterator[dict[str, Any]]:
        """Yield jobs, the newest first: `state, host, user, search` narrow."""
        yield from self._pages("/api/jobs", "jobs", wanted)

    def unreachable(self) -> dict[str, str]:
        """Return the hosts that did not answer when they were last asked, and why."""
        found: dict[str, str] = self._get("/api/jobs", limit=1)["unreachable"]
        return found

    def output(self, job_id: str, **wanted: Any) -> dict[str, Any]:
        """Return a part of a job's output: `hostname, stream, offset, limit, tail`."""
        return self._get(f"/api/jobs/{_part(job_id)}/output", **wanted)

    def metrics(self, job_id: str, name: str | None = None, **wanted: Any) -> list[dict[str, Any]]:
        """Return the points of a metric, or what metrics a job has: `hostname, since, limit`."""
        found = self._get(f"/api/metrics/{_part(job_id)}" + (f"/{_part(name)}" if name else ""), **wanted)
        rows: list[dict[str, Any]] = found["points" if name else "metrics"]
        return rows

    def measured(self) -> list[dict[str, Any]]:
        """Return the jobs of which numbers are kept, with the names of their metrics."""
        found: list[dict[str, Any]] = self._get("/api/metrics")["jobs"]
        return found

    def hosts(self) -> list[dict[str, Any]]:
        """Return the hosts: whether they answer, since when, what looks take."""
        found: list[dict[str, Any]] = self._get("/api/hosts")["hosts"]
        return found

    # --- trying, and the server itself ---

    def plan(self) -> dict[str, Any]:
        """Return what a pass would change now."""
        return self._get("/api/plan")

    def validate(self, yaml: str) -> dict[str, Any]:
        """Return what is wrong with a file of watchers."""
        return self._send("POST", "/api/validate", {"yaml": yaml})

    def test_pattern(self, pattern: str, **more: Any) -> dict[str, Any]:
        """Return what a pattern finds: in `text`, or at the end of the output of `job_id`."""
        return self._send("POST", "/api/patterns/test", {"pattern": pattern, **more})

    def session(self) -> dict[str, Any]:
        """Return who one is to the server, and the id of its state."""
        return self._get("/api/session")

    # --- how ---

    def _pages(self, path: str, rows: str, wanted: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            page = self._get(path, limit=PAGE, cursor=cursor, **wanted)
            yield from page[rows]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._ask("GET", path, query, None)

    def _send(self, method: str, path: str, body: Any, **query: Any) -> dict[str, Any]:
        return self._ask(method, path, query, body)

    def _ask(self, method: str, path: str, query: Mapping[str, Any], body: Any) -> dict[str, Any]:
        params = {name: value for name, value in query.items() if value is not None}
        try:
            answer = self._http.request(method, path, params=params, json=body)
            said = answer.json()
            if not isinstance(said, dict):
                raise ValueError("it says something else")
        except (httpx.HTTPError, ValueError) as error:
            raise HostUnreachableError(
                public(f"{self.url} does not answer as a reconciler does: {error or type(error).__name__}"),
                remedy="is `reconcile serve` running there, and its certificate trusted (`client.certificate`)?",
            ) from error
        if answer.is_success:
            found: dict[str, Any] = said
            return found
        raise refused(answer.status_code, said)


def refused(status: int, said: Mapping[str, Any]) -> ReconcilerError:
    """Return what a refusal of the API is here."""
    problems = "; ".join(f"{each['where']}: {each['message']}" for each in said.get("problems", ()))
    detail = str(said.get("detail", f"status {status}")) + (f": {problems}" if problems else "")
    kind = _BY_STATUS.get(status, ReconcilerError)
    return kind(detail, remedy=str(said.get("remedy", "")))


def _part(text: str) -> str:
    """Return a text as one part of a path, whatever stands in it."""
    return quote(text, safe="")


def bearing(key: str) -> dict[str, str]:
    """Return the header that carries a key. Raises ConfigurationError, which shows nothing of it."""
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError("the key of the server is none", remedy="give the key alone, on one line")
    return {"Authorization": f"Bearer {key}"} if key else {}


def web_address(url: str) -> str:
    """Return a URL that can be called, its scheme in small letters.

    Raises ConfigurationError, which shows nothing of it: it may hold a password.
    """
    try:
        address = httpx.URL(url)
        port = address.port
    except httpx.InvalidURL:
        port = -1
    if port is not None and not 0 <= port <= 65535:
        remedy = "write https://host:8443, or unix:///path (see `client.url`)"
        raise ConfigurationError("the URL of the server is no web address", remedy=remedy)
    return str(address)


def trusting(certificate: str | PathLike[str] | None) -> ssl.SSLContext:
    """Return what trusts a self-signed certificate beside the usual ones. Raises ConfigurationError."""
    context = ssl.create_default_context()
    if certificate is not None:
        try:
            context.load_verify_locations(certificate)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigurationError(f"{certificate} is no certificate: {error}", remedy="name a PEM file") from error
    return context
