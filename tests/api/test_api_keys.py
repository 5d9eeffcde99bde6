"""The file of the keys: hashes alone, for its owner alone, one-time links used once, changes seen at once."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from reconciler.api.keys import MOST_OF_A_KEY, MOST_SESSIONS, Key, KeyKind, Keyring, Scope
from reconciler.errors import ConfigurationError, UsageError

NOW = 1_800_000_000.0


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "deep" / "apikeys.json")


def test_a_key_is_found_by_its_secret_and_by_nothing_else(ring: Keyring) -> None:
    key, token = ring.create("ci", Scope.WRITE, NOW)
    assert ring.find(token, NOW, KeyKind.KEY) == key
    for wrong in ("", token[:-1], token + "x", token.replace("rk_", "RK_"), f"rk_{key.id}_{'A' * 43}", "rk_x_y", "é"):
        assert ring.find(wrong, NOW, KeyKind.KEY) is None, wrong
    assert ring.find(token, NOW, KeyKind.SESSION, KeyKind.LINK) is None


def test_the_secret_stands_nowhere_and_the_file_is_its_owners_alone(ring: Keyring) -> None:
    _, token = ring.create("ci", Scope.READ, NOW)
    text = ring.path.read_text()
    assert token not in text
    assert token.split("_", 2)[2] not in text
    assert ring.path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in ring.path.parent.iterdir()] in (
        ["apikeys.json", "apikeys.json.lock"], ["apikeys.json.lock", "apikeys.json"],
    )  # fmt: skip


def test_an_expired_key_is_none(ring: Keyring) -> None:
    key, token = ring.create("ci", Scope.READ, NOW, expires=NOW + 10)
    assert ring.find(token, NOW + 9, KeyKind.KEY) == key
    assert ring.find(token, NOW + 10, KeyKind.KEY) is None


def test_a_revoked_key_is_none_for_a_ring_that_was_open_all_the_time(ring: Keyring) -> None:
    _, token = ring.create("ci", Scope.READ, NOW)
    other = Keyring(ring.path)
    assert other.find(token, NOW, KeyKind.KEY) is not None
    (gone,) = ring.revoke("ci")
    assert gone.name == "ci"
    assert other.find(token, NOW, KeyKind.KEY) is None
    with pytest.raises(UsageError):
        ring.revoke("ci")


def test_a_link_becomes_one_session_however_many_use_it_at_once(ring: Keyring) -> None:
    _, link = ring.create("browser", Scope.ADMIN, NOW, kind=KeyKind.LINK, expires=NOW + 60)
    made: list[tuple[Key, str] | None] = []
    threads = [
        threading.Thread(target=lambda: made.append(Keyring(ring.path).redeem(link, NOW, 100))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = [each for each in made if each is not None]
    assert ring.find(won[1], NOW + 99, KeyKind.SESSION) == won[0]
    assert won[0].scope is Scope.ADMIN
    assert ring.find(won[1], NOW + 100, KeyKind.SESSION) is None
    assert ring.redeem(link, NOW, 100) is None


def test_an_old_link_signs_nobody_in(ring: Keyring) -> None:
    _, link = ring.create("browser", Scope.ADMIN, NOW, kind=KeyKind.LINK, expires=NOW + 60)
    assert ring.redeem(link, NOW + 61, 100) is None


def signed(made: tuple[Key, str] | None) -> Key:
    assert made is not None
    return made[0]


def test_what_comes_of_a_link_of_a_session_lasts_no_longer_than_the_session(ring: Keyring) -> None:
    _, printed = ring.create("browser", Scope.ADMIN, NOW, kind=KeyKind.LINK, expires=NOW + 60)
    maker = signed(ring.redeem(printed, NOW, 100))
    _, link = ring.link(maker, NOW + 90)
    other = signed(ring.redeem(link, NOW + 95, 100))
    assert (other.expires, other.parent) == (NOW + 100, maker.id)
    _, late = ring.link(other, NOW + 96)
    assert ring.redeem(late, NOW + 100, 100) is None
    assert other in ring.revoke(maker.id)
    assert ring.entries() == ()


def test_a_key_has_so_many_sessions_and_links_however_they_are_made(ring: Keyring) -> None:
    key, _ = ring.create("ci", Scope.ADMIN, NOW)
    ring.create("other", Scope.READ, NOW, kind=KeyKind.SESSION, expires=NOW + 60)
    maker, _ = ring.sign_in(key, NOW, 100)
    for _ in range(MOST_OF_A_KEY + 5):
        ring.link(key, NOW)
        assert ring.redeem(ring.link(maker, NOW)[1], NOW, 100) is not None or maker not in ring.entries()
    kinds = [entry.kind for entry in ring.entries() if entry.parent == key.id]
    assert (kinds.count(KeyKind.SESSION), kinds.count(KeyKind.LINK)) == (MOST_OF_A_KEY, MOST_OF_A_KEY)
    assert "other" in {entry.name for entry in ring.entries()}


def test_nothing_is_found_whose_key_is_gone_or_over(ring: Keyring) -> None:
    key, _ = ring.create("ci", Scope.ADMIN, NOW, expires=NOW + 10)
    ring.revoke("ci")
    _, link = ring.link(key, NOW)  # by a request that came in before
    _, session = ring.sign_in(key, NOW, 100)
    assert ring.redeem(link, NOW, 100) is None
    assert ring.find(session, NOW, KeyKind.SESSION) is None


def test_a_file_of_keys_that_an_older_version_wrote_is_read(ring: Keyring) -> None:
    key, token = ring.create("ci", Scope.READ, NOW)
    ring.path.write_text(json.dumps({"keys": [key.model_dump(mode="json", exclude={"actions", "parent"})]}))
    assert Keyring(ring.path).find(token, NOW, KeyKind.KEY) == key


def test_sessions_do_not_pile_up(ring: Keyring) -> None:
    _, keep = ring.create("ci", Scope.READ, NOW)
    for _ in range(MOST_SESSIONS + 5):
        ring.create("browser", Scope.READ, NOW, kind=KeyKind.SESSION, expires=NOW + 60)
    assert len(ring.entries()) <= MOST_SESSIONS + 1
    ring.create("browser", Scope.READ, NOW + 61, kind=KeyKind.SESSION, expires=NOW + 120)
    assert [entry.kind for entry in ring.entries()] == [KeyKind.KEY, KeyKind.SESSION]
    assert ring.find(keep, NOW, KeyKind.KEY) is not None


def test_keys_made_by_many_at_once_are_all_there(ring: Keyring) -> None:
    threads = [
        threading.Thread(target=lambda n=n: Keyring(ring.path).create(f"k{n}", Scope.READ, NOW)) for n in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ring.entries()) == 10


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666])
def test_a_file_that_others_may_read_is_not_used(ring: Keyring, mode: int) -> None:
    _, token = ring.create("ci", Scope.READ, NOW)
    os.chmod(ring.path, mode)
    with pytest.raises(ConfigurationError, match="not for its owner alone"):
        Keyring(ring.path).find(token, NOW, KeyKind.KEY)


def test_a_file_that_is_none_is_said_and_not_shown(ring: Keyring) -> None:
    ring.create("ci", Scope.READ, NOW)
    ring.path.write_text('{"keys": [{"secret": "hunter2"}]}')
    with pytest.raises(ConfigurationError) as caught:
        Keyring(ring.path).entries()
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_scopes_include_the_smaller_ones() -> None:
    covers = {(a.value, b.value): a.covers(b) for a in Scope for b in Scope}
    assert [pair for pair, yes in covers.items() if not yes] == [
        ("read", "write"),
        ("read", "admin"),
        ("write", "admin"),
    ]
