"""The file of the keys: who may talk to the API, each secret only as its SHA-256. The API and `apikey` use it.

Three kinds stand in it: keys of programs, one-time links that sign a browser in, and the sessions of browsers. Secrets
are 256 random bits, so a plain hash is enough: there is nothing to guess. The file has mode 0600 or is refused; writers
take a lock beside it, readers see a whole file, old or new.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from reconciler.errors import ConfigurationError, StateError, UsageError

_TOKEN = re.compile(r"^rk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$")
#: Seconds that a one-time link may wait to be used.
LINK_LIFE = 3600.0
#: Most sessions kept; the oldest go first.
MOST_SESSIONS = 200
#: Most of them, and of links, that come of one key, so that no key ends the sessions of others.
MOST_OF_A_KEY = 10


class Scope(StrEnum):
    """What a key may do; each includes the one before it."""

    READ = "read"  # look at everything
    WRITE = "write"  # and create, edit, delete, pause, resume and trigger watchers
    ADMIN = "admin"  # and sign browsers in

    def covers(self, other: Scope) -> bool:
        """Tell whether who has this scope may do what needs `other`."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class KeyKind(StrEnum):
    """What an entry is used for."""

    KEY = "key"  # a program's, until it is revoked or expires
    LINK = "link"  # signs one browser in, once
    SESSION = "session"  # a browser that was signed in; stands in its cookie


class Key(BaseModel):
    """One entry. `hash` is hex SHA-256 of the secret; times are seconds since the epoch.

    `actions`: the action types that watchers written with it may have; None: those the settings allow. `parent`: id of
    the entry that this one ends with: of a session the key that it was signed in with, or the session that made its
    link where no key stands behind that; of a link who made it. Links made on the machine itself have none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: KeyKind = KeyKind.KEY
    name: str
    scope: Scope
    hash: str
    created: float
    expires: float | None = None
    actions: tuple[str, ...] | None = None
    parent: str = ""

    def alive(self, now: float) -> bool:
        """Tell whether it has not expired."""
        return self.expires is None or now < self.expires


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format_version: int = 1
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class _Stamp:
    inode: int
    size: int
    changed: int  # of content, owner or mode, in ns


class Keyring:
    """The keys in one file. Cheap to ask: the file is read again only when it changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: _Stamp | None = None
        self._keys: dict[str, Key] = {}

    def entries(self) -> tuple[Key, ...]:
        """Return all entries, oldest first. Raises ConfigurationError (readable by others, not ours), StateError."""
        self._refresh()
        return tuple(self._keys.values())

    def find(self, token: str, now: float, *kinds: KeyKind) -> Key | None:
        """Return the living entry of one of these kinds whose secret `token` is; None where there is none."""
        parts = _TOKEN.match(token)
        if parts is None:
            return None
        self._refresh()
        key = self._keys.get(parts[1])
        if key is None or key.kind not in kinds or not key.alive(now):
            return None
        if key.parent and (key.parent not in self._keys or not self._keys[key.parent].alive(now)):
            return None
        return key if hmac.compare_digest(key.hash, _hash(token)) else None

    def create(
        self,
        name: str,
        scope: Scope,
        now: float,
        *,
        kind: KeyKind = KeyKind.KEY,
        expires: float | None = None,
        actions: tuple[str, ...] | None = None,
    ) -> tuple[Key, str]:
        """Add an entry and return it with its secret, which is never shown again."""
        key, token = _fresh(name, scope, now, kind, expires, actions)
        self._change(lambda keys: [*_pruned(keys, now), key])
        return key, token

    def redeem(self, token: str, now: float, life: float) -> tuple[Key, str] | None:
        """Use a one-time link up: return the session that takes its place, None where it is no living link.

        It may do what who made the link may, and ends with them.
        """
        made: list[tuple[Key, str]] = []

        def use(keys: list[Key]) -> list[Key]:
            link = self.find(token, now, KeyKind.LINK)
            if link is None or link not in keys:
                return keys
            maker = next((key for key in keys if key.id == link.parent), None)
            session = _fresh(link.name, link.scope, now, KeyKind.SESSION, now + life, link.actions)
            made.append(_lent(maker, KeyKind.SESSION, now, life) if maker else session)
            return _joined([key for key in keys if key != link], made[0][0], now)

        self._change(use)
        return made[0] if made else None

    def sign_in(self, key: Key, now: float, life: float) -> tuple[Key, str]:
        """Return a session that may do what `key` may, and lasts no longer than it."""
        return self._lend(key, KeyKind.SESSION, now, life)

    def link(self, maker: Key, now: float) -> tuple[Key, str]:
        """Return a one-time link that signs a browser in to what `maker` may do, and lasts no longer than it."""
        return self._lend(maker, KeyKind.LINK, now, LINK_LIFE)

    def _lend(self, key: Key, kind: KeyKind, now: float, life: float) -> tuple[Key, str]:
        made, token = _lent(key, kind, now, life)
        self._change(lambda keys: _joined(keys, made, now))
        return made, token

    def revoke(self, word: str) -> tuple[Key, ...]:
        """Remove the entries of this id or name, and what ends with them; return them. UsageError: there is none."""
        gone: list[Key] = []

        def drop(keys: list[Key]) -> list[Key]:
            kept = _unorphaned([key for key in keys if word not in (key.id, key.name)])
            gone.extend(key for key in keys if key not in kept)
            return kept

        self._change(drop)
        if not gone:
            raise UsageError(f"there is no key {word!r}", remedy="`reconcile apikey list` shows them")
        return tuple(gone)

    # --- the file ---

    def _refresh(self) -> None:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            self._stamp, self._keys = None, {}
            return
        except OSError as error:
            raise StateError(f"{self.path} cannot be read: {error.strerror}", remedy="run as its owner") from error
        stamp = _Stamp(found.st_ino, found.st_size, found.st_ctime_ns)
        if stamp == self._stamp:
            return
        if found.st_mode & 0o077 or found.st_uid != os.geteuid():
            raise ConfigurationError(
                f"{self.path} is not for its owner alone", remedy=f"chown it to yourself and `chmod 600 {self.path}`"
            )
        self._keys = {key.id: key for key in self._read().keys}
        self._stamp = stamp

    def _read(self) -> _File:
        try:
            return _File.model_validate_json(self.path.read_bytes())
        except OSError as error:
            raise StateError(f"{self.path} cannot be read: {error.strerror}", remedy="run as its owner") from error
        except ValidationError:  # what stands in it is not shown: it may be a secret
            raise ConfigurationError(
                f"{self.path} is no file of keys", remedy="delete it and make new keys with `reconcile apikey create`"
            ) from None

    def _change(self, edit: Callable[[list[Key]], list[Key]]) -> None:
        with self._locked():
            before = list(self.entries())
            after = edit(before)
            if after != before:
                self._write(_File(keys=tuple(after)))
                self._refresh()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"{self.path} cannot be written: {error.strerror}", remedy="run as its owner") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, content: _File) -> None:
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(content.model_dump_json(indent=1) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self.path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StateError(f"{self.path} cannot be written: {error.strerror}", remedy="make room for it") from error


def _fresh(
    name: str, scope: Scope, now: float, kind: KeyKind, expires: float | None, actions: tuple[str, ...] | None
) -> tuple[Key, str]:
    number = secrets.token_hex(6)
    token = f"rk_{number}_{secrets.token_urlsafe(32)}"
    key = Key(
        id=number, kind=kind, name=name, scope=scope, hash=_hash(token), created=now, expires=expires, actions=actions
    )
    return key, token


def _lent(key: Key, kind: KeyKind, now: float, life: float) -> tuple[Key, str]:
    """Return an entry that may do what `key` may. Sessions of one key all end with it, however they were made."""
    end = now + life if key.expires is None else min(now + life, key.expires)
    made, token = _fresh(key.name, key.scope, now, kind, end, key.actions)
    parent = key.id if kind is KeyKind.LINK else key.parent or key.id
    return made.model_copy(update={"parent": parent}), token


def _joined(keys: list[Key], made: Key, now: float) -> list[Key]:
    """Return the entries with `made`; the oldest of too many of its kind with its parent make room."""
    alike = [key for key in keys if made.parent and (key.parent, key.kind) == (made.parent, made.kind)]
    older = alike[: 1 - MOST_OF_A_KEY]
    return [*_pruned([key for key in keys if key not in older], now), made]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _pruned(keys: list[Key], now: float) -> list[Key]:
    """Return the entries that still serve: expired links and sessions go, and the oldest of too many sessions.

    What ends with one that goes does so too.
    """
    kept = [key for key in keys if key.kind is KeyKind.KEY or key.alive(now)]
    sessions = [key for key in kept if key.kind is KeyKind.SESSION]
    surplus = sessions[: max(0, len(sessions) - MOST_SESSIONS + 1)]
    return _unorphaned([key for key in kept if key not in surplus])


def _unorphaned(keys: list[Key]) -> list[Key]:
    """Return the entries whose parents are there too; these stand before them."""
    kept: dict[str, Key] = {}
    for key in keys:
        if not key.parent or key.parent in kept:
            kept[key.id] = key
    return list(kept.values())
