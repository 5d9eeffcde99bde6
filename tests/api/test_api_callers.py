"""From headers to who calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.datastructures import Headers

from reconciler.api.callers import Caller, caller_of, cookie_name
from reconciler.api.keys import Key, KeyKind, Keyring, Scope

NOW = 1.8e9


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "apikeys.json")


@pytest.fixture
def key(ring: Keyring) -> tuple[Key, str]:
    return ring.create("ci", Scope.WRITE, NOW)


@pytest.fixture
def session(ring: Keyring) -> tuple[Key, str]:
    return ring.create("browser", Scope.ADMIN, NOW, kind=KeyKind.SESSION, expires=NOW + 60)


def who(ring: Keyring, *lines: tuple[str, str], secure: bool = False, now: float = NOW) -> Caller:
    headers = Headers(raw=[(name.encode(), value.encode("latin-1")) for name, value in lines])
    return caller_of(headers, ring, "10.0.0.1", secure, now)


def test_nothing_is_a_stranger(ring: Keyring) -> None:
    caller = who(ring)
    assert (caller.key, caller.scope, caller.browser, caller.claimed) == (None, None, False, False)
    assert caller.name == "a stranger"


def test_a_key_comes_in_either_of_two_headers(ring: Keyring, key: tuple[Key, str]) -> None:
    for line in (("authorization", f"Bearer {key[1]}"), ("authorization", f"bearer  {key[1]} "), ("x-api-key", key[1])):
        caller = who(ring, line)
        assert (caller.key, caller.browser, caller.name) == (key[0], False, "ci (API)"), line


@pytest.mark.parametrize("scheme", ["Basic", "", "Digest", "BearerX"])
def test_other_schemes_are_no_key(ring: Keyring, key: tuple[Key, str], scheme: str) -> None:
    assert who(ring, ("authorization", f"{scheme} {key[1]}".strip())).key is None


def test_a_wrong_key_is_a_stranger_who_claimed_one_whatever_the_cookie_says(
    ring: Keyring, session: tuple[Key, str]
) -> None:
    caller = who(ring, ("x-api-key", "rk_wrong"), ("cookie", f"reconciler={session[1]}"))
    assert (caller.key, caller.claimed, caller.browser) == (None, True, False)


def test_a_session_comes_in_its_cookie_among_others(ring: Keyring, session: tuple[Key, str]) -> None:
    for cookie in (
        f"reconciler={session[1]}",
        f"a=b; reconciler={session[1]}; c=d",
        f'x="y z"; reconciler={session[1]}',
    ):
        caller = who(ring, ("cookie", cookie))
        assert (caller.key, caller.browser) == (session[0], True), cookie
    assert who(ring, ("cookie", "other=1"), ("cookie", f"reconciler={session[1]}")).key == session[0]
    assert who(ring, ("cookie", f"reconciler={session[1]}"), now=NOW + 61).key is None


def test_over_https_only_the_cookie_that_nobody_else_can_set_counts(ring: Keyring, session: tuple[Key, str]) -> None:
    assert cookie_name(True) == "__Host-reconciler"
    assert who(ring, ("cookie", f"reconciler={session[1]}"), secure=True).key is None
    assert who(ring, ("cookie", f"__Host-reconciler={session[1]}"), secure=True).key == session[0]


@pytest.mark.parametrize("cookie", ["", ";;;", "=", "reconciler", "reconciler=", "a\x00b=c", "reconciler=\xff", "[]=;"])
def test_cookies_that_are_none_are_nobody(ring: Keyring, cookie: str) -> None:
    assert who(ring, ("cookie", cookie)).key is None


def test_kinds_are_not_mixed_up(ring: Keyring, key: tuple[Key, str], session: tuple[Key, str]) -> None:
    assert who(ring, ("cookie", f"reconciler={key[1]}")).key is None
    assert who(ring, ("x-api-key", session[1])).key is None
