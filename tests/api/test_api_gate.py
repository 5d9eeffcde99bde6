"""The gate alone: in which order it asks, and what reaches the application behind it."""

from __future__ import annotations

import json
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from reconciler.api.callers import Caller
from reconciler.api.gate import MOST_HEADERS, Gate, Rules
from reconciler.api.keys import KeyKind, Keyring
from reconciler.api.keys import Scope as Rights
from reconciler.api.limits import Limits

NOW = 1.8e9


@dataclass
class Told:
    """An audit that a test reads."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def refused(self, caller: Caller, what: str, why: str) -> None:
        self.lines.append((caller.name, what))


@dataclass
class Door:
    """A gate before an application that notes who came through."""

    home: Path
    secure: bool = False
    burst: float = 1000
    clock: float = 0.0
    through: list[Caller] = field(default_factory=list)
    told: Told = field(default_factory=Told)

    def __post_init__(self) -> None:
        self.keyring = Keyring(self.home / "apikeys.json")
        rules = Rules(
            frozenset({"localhost", "login1"}),
            frozenset({"/", "/main.js"}),
            self.secure,
            lambda: NOW,
            lambda: self.clock,
        )
        limits = (Limits(self.burst, 60), Limits(self.burst, 60))
        self.gate = Gate(self._application, rules, self.keyring, *limits, self.told)

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.through.append(scope["caller"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    def key(self, scope: Rights = Rights.READ, kind: KeyKind = KeyKind.KEY) -> str:
        return self.keyring.create("k", scope, NOW, kind=kind)[1]

    async def ask(
        self, path: str = "/api/watchers", method: str = "GET", kind: str = "http", host: str | None = "localhost",
        address: str = "10.0.0.1", extensions: dict[str, Any] | None = None,
        more: Iterable[tuple[bytes, bytes]] = (), **headers: str,
    ) -> tuple[int, dict[str, Any], dict[str, str]]:  # fmt: skip
        """Return status, body and headers of the answer."""
        lines = {**({"host": host} if host is not None else {}), **{k.replace("_", "-"): v for k, v in headers.items()}}
        scope: MutableMapping[str, Any] = {
            "type": kind, "path": path, "headers": [*((k.encode(), v.encode()) for k, v in lines.items()), *more],
            "client": (address, 1), "server": ("10.9.9.9", 8443), "extensions": extensions or {},
        }  # fmt: skip
        if kind == "http":
            scope["method"] = method
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": f"{kind}.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.gate(scope, receive, send)
        first = sent[0]
        if first["type"] == "websocket.close":
            return first["code"], {"reason": first["reason"]}, {}
        found = {name.decode(): value.decode() for name, value in first["headers"]}
        return first["status"], json.loads(sent[1]["body"] or b"{}"), found


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


async def test_who_may_comes_through_and_is_known_behind_it(door: Door) -> None:
    assert (await door.ask(x_api_key=door.key()))[0] == 200
    (caller,) = door.through
    assert (caller.scope, caller.address, caller.browser) == (Rights.READ, "10.0.0.1", False)


async def test_the_host_is_asked_first(door: Door) -> None:
    for host in ("evil.example", None, ""):
        status, body, _ = await door.ask(host=host, x_api_key=door.key())
        assert (status, body["code"]) == (421, "wrong-host")
    assert door.through == []
    for host in ("localhost:evil/x?", "localhost:8443@evil", "[localhost]x", "localhost:1:2"):
        assert (await door.ask(host=host, x_api_key=door.key()))[0] == 421, host
    for host in ("login1:8443", "10.9.9.9", "10.9.9.9:8443", "LOCALHOST"):
        assert (await door.ask(host=host, x_api_key=door.key()))[0] == 200


async def test_no_bucket_of_a_stranger_is_used_up_by_another_name_for_us(door: Door) -> None:
    door.burst = 2
    door.__post_init__()
    for _ in range(5):
        assert (await door.ask(host="evil.example"))[0] == 421
    assert (await door.ask())[0] == 401


async def test_too_often_is_said_with_when_to_come_again(tmp_path: Path) -> None:
    door = Door(tmp_path, burst=2)
    statuses = [(await door.ask())[0] for _ in range(3)]
    assert statuses == [401, 401, 429]
    _, body, headers = await door.ask()
    assert (body["code"], headers["retry-after"]) == ("too-many-requests", "2")
    door.clock = 1.0
    assert (await door.ask())[0] == 401
    assert (await door.ask(address="10.0.0.2"))[0] == 401
    assert (await door.ask(x_api_key=door.key()))[0] == 200
    assert (await door.ask("/main.js"))[0] == 200


async def test_a_key_that_is_needed_is_asked_for_in_the_way_of_http(door: Door) -> None:
    status, body, headers = await door.ask()
    assert (status, body["code"], headers["www-authenticate"]) == (401, "no-key", "Bearer")
    assert "is needed" in body["detail"]
    assert "not valid" in (await door.ask(x_api_key="rk_x"))[1]["detail"]
    assert (await door.ask(method="HEAD"))[0] == 401


async def test_scopes_are_asked_by_method_and_path(door: Door) -> None:
    read, write, admin = (door.key(scope) for scope in Rights)
    assert (await door.ask(method="POST", x_api_key=read))[0] == 403
    assert (await door.ask("/api/validate", "POST", x_api_key=read))[0] == 200
    assert (await door.ask(method="PATCH", x_api_key=write))[0] == 200
    assert (await door.ask("/api/session/links", "POST", x_api_key=write))[0] == 403
    assert (await door.ask("/api/session/links", "POST", x_api_key=admin))[0] == 200
    assert [line[1] for line in door.told.lines] == ["POST /api/watchers", "POST /api/session/links"]


async def test_a_browser_must_say_its_page_when_it_writes_and_a_program_need_not(door: Door) -> None:
    cookie = f"reconciler={door.key(Rights.ADMIN, KeyKind.SESSION)}"
    own = "http://localhost"
    assert (await door.ask(method="POST", cookie=cookie))[0] == 403
    assert (await door.ask(method="POST", cookie=cookie, origin=own))[0] == 200
    assert (await door.ask(method="POST", cookie=cookie, origin="http://login1"))[0] == 403
    assert (await door.ask(method="POST", cookie=cookie, origin=own, sec_fetch_site="same-site"))[0] == 403
    assert (await door.ask(cookie=cookie))[0] == 200
    assert (await door.ask(kind="websocket", cookie=cookie))[0] == 1008
    assert (await door.ask(method="POST", x_api_key=door.key(Rights.WRITE)))[0] == 200


async def test_the_origin_must_be_the_very_one_that_is_asked(tmp_path: Path) -> None:
    door = Door(tmp_path, secure=True)
    key = door.key()
    for origin, status in (
        ("https://localhost", 200),
        ("https://localhost:8443", 403),
        ("http://localhost", 403),
        ("https://LOCALHOST", 403),
        ("https://localhost.", 403),
        ("https://localhost/", 403),
        ("null", 403),
    ):
        assert (await door.ask(x_api_key=key, origin=origin))[0] == status, origin
    assert (await door.ask(x_api_key=key, host="localhost:8443", origin="https://localhost:8443"))[0] == 200


async def test_who_says_two_origins_is_refused(door: Door) -> None:
    cookie = f"reconciler={door.key(Rights.ADMIN, KeyKind.SESSION)}"
    for other in ("http://evil.example", "http://localhost"):
        twice = [(b"origin", b"http://localhost"), (b"origin", other.encode())]
        status, body, _ = await door.ask(method="POST", more=twice, cookie=cookie)
        assert (status, body["code"]) == (403, "foreign-origin")


async def test_pages_and_probes_are_for_everybody_but_not_for_other_sites(door: Door) -> None:
    for path in ("/", "/main.js", "/healthz"):
        assert (await door.ask(path))[0] == 200
        assert (await door.ask(path, sec_fetch_site="cross-site"))[0] == 200  # a link leads here
        assert (await door.ask(path, origin="https://evil.example"))[0] == 403
    assert (await door.ask("/main.js", "POST"))[0] == 401


async def test_headers_that_are_too_large_are_not_looked_into(door: Door) -> None:
    assert (await door.ask(x_api_key=door.key(), x_long="x" * MOST_HEADERS))[0] == 431


async def test_a_file_of_keys_that_others_may_read_closes_everything(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    key = door.key()
    assert (await door.ask(x_api_key=key))[0] == 200
    door.through.clear()
    door.keyring.path.chmod(0o644)
    status, body, _ = await door.ask(x_api_key=key)
    assert (status, body["code"]) == (503, "keys-unavailable")
    assert str(door.home) not in str(body)
    assert "chmod 600" in caplog.text
    assert door.through == []


async def test_a_websocket_is_refused_before_it_is_open(door: Door) -> None:
    assert await door.ask("/ws/watchers", kind="websocket") == (1008, {"reason": "no-key"}, {})
    status, body, _ = await door.ask("/ws/watchers", kind="websocket", extensions={"websocket.http.response": {}})
    assert (status, body["code"]) == (401, "no-key")
    assert door.told.lines == [("a stranger", "WebSocket /ws/watchers")] * 2
