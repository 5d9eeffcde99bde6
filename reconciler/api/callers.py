"""Who calls: from a request's headers to a key, or a stranger. Pure but for the file of the keys."""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

from reconciler.api.keys import Key, KeyKind, Keyring, Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request. `key` None: a stranger. `browser`: known by its cookie, so another site may be behind it.

    `claimed`: a secret was presented (a stranger's was wrong).
    """

    address: str
    key: Key | None = None
    browser: bool = False
    claimed: bool = False

    @property
    def scope(self) -> Scope | None:
        """What it may do."""
        return self.key.scope if self.key else None

    @property
    def name(self) -> str:
        """How holds and events name it."""
        return f"{self.key.name} (API)" if self.key else "a stranger"


def cookie_name(secure: bool) -> str:
    """Return the name of the session's cookie; over HTTPS one that no other host and no plain page can set."""
    return "__Host-reconciler" if secure else "reconciler"


def caller_of(headers: Headers, keyring: Keyring, address: str, secure: bool, now: float) -> Caller:
    """Return who sent these headers. A key in a header counts alone, whatever the cookie says."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    token = headers.get("x-api-key", "") or (bearer.strip() if scheme.lower() == "bearer" else "")
    if token:
        return Caller(address, keyring.find(token, now, KeyKind.KEY), claimed=True)
    session = _cookie(headers, cookie_name(secure))
    if session:
        return Caller(address, keyring.find(session, now, KeyKind.SESSION), browser=True, claimed=True)
    return Caller(address)


def _cookie(headers: Headers, name: str) -> str:
    for line in headers.getlist("cookie"):
        for part in line.split(";"):
            try:
                found = SimpleCookie(part.strip()).get(name)
            except CookieError:
                continue
            if found is not None:
                return found.value
    return ""
