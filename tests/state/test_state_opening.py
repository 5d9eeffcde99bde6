"""Opening: what is made, what is set, and what is refused with a remedy."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from parts.state_values import SteppedClock, a_watcher, an_event, columns, opened

from reconciler.errors import StateError
from reconciler.protocols import Batch, EventFilter
from reconciler.state import open_readonly
from reconciler.state.migrations import VERSION
from reconciler.state.mounts import on_network
from reconciler.state.write import StateWriter

NFS = "server:/home /home nfs4 rw 0 0\n"


def pragma(state: StateWriter, name: str) -> object:
    with state._reading() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_a_first_state_is_empty_has_an_identity_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deeper" / "state.db"
    state = opened(path)
    assert state.empty()
    assert len(bytes.fromhex(state.identity())) == 16
    state.commit(Batch(events=(an_event(),)))
    modes = {
        each.name: stat.S_IMODE(each.stat().st_mode)
        for each in (path.parent, path.parent.parent, *path.parent.iterdir())
    }
    assert {modes[name] for name in ("new", "deeper")} == {0o700}
    assert {modes[name] for name in ("state.db", "state.db-wal", "state.db-shm")} == {0o600}
    state.close()


def test_a_state_opened_again_is_the_same_one(path: Path) -> None:
    first = opened(path)
    identity = first.identity()
    (watcher,) = first.commit(Batch(create=(a_watcher(),))).created
    first.release()
    first.close()
    again = opened(path)
    assert (again.identity(), again.watchers(), again.empty()) == (identity, (watcher,), False)
    again.close()


def test_two_states_have_two_identities(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "one.db"), opened(tmp_path / "two.db")
    assert one.identity() != two.identity()
    one.close()
    two.close()


@pytest.mark.parametrize(("durability", "synchronous"), [("normal", 1), ("full", 2)])
def test_a_local_file_system_has_a_wal(path: Path, durability: str, synchronous: int) -> None:
    state = opened(path, durability=durability, busy_timeout=3)
    found = [pragma(state, name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")]
    assert found == ["wal", synchronous, 1, 3000]
    state.close()


@pytest.mark.parametrize(("durability", "synchronous"), [("normal", 2), ("full", 3)])
def test_a_network_file_system_has_none(
    path: Path, durability: str, synchronous: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.state.database.on_network", lambda path: True)
    state = opened(path, durability=durability)
    assert [pragma(state, name) for name in ("journal_mode", "synchronous")] == ["delete", synchronous]
    state.commit(Batch(events=(an_event(),)))
    assert not path.with_name("state.db-wal").exists()
    reader = open_readonly(path)
    assert reader.last_seq() == 1
    reader.close()
    state.close()


@pytest.mark.parametrize(
    ("table", "place", "network"),
    [
        ("/dev/sda / ext4 rw 0 0\n" + NFS, "/home/ada/state.db", True),
        ("/dev/sda / ext4 rw 0 0\n" + NFS, "/homes/state.db", False),
        (NFS + "/dev/sdb /home/ada xfs rw 0 0\n", "/home/ada/state.db", False),
        ("/dev/sda /home ext4 rw 0 0\n" + NFS, "/home/state.db", True),
        (NFS + "/dev/sda /home ext4 rw 0 0\n", "/home/state.db", False),
        ("mgs:/l /my\\040scratch lustre rw 0 0\n", "/my scratch/state.db", True),
        ("sshfs /mnt fuse.sshfs rw 0 0\n", "/mnt/state.db", True),
        ("/dev/sdc /usb fuseblk rw 0 0\n", "/usb/state.db", False),
        ("gpfs0 /gpfs gpfs rw 0 0\n", "/gpfs/a/b/state.db", True),
        ("", "/anywhere", False),
    ],
)
def test_the_mount_that_covers_a_path_says_whether_it_is_a_network_one(
    tmp_path: Path, table: str, place: str, network: bool
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(table)
    assert on_network(Path(place), mounts) is network


def test_where_nothing_tells_the_mounts_a_path_counts_as_local(tmp_path: Path) -> None:
    assert not on_network(tmp_path, tmp_path / "absent")


# --- refused ---------------------------------------------------------------------------------------------------------


def write_garbage(path: Path) -> None:
    path.write_bytes(b"this is no database at all, but long enough for a header" * 20)


def write_another(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()


def write_newer(path: Path) -> None:
    opened(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()


def write_damaged(path: Path) -> None:
    state = opened(path)
    state.commit(Batch(events=tuple(an_event(subject="x" * 500) for _ in range(500))))
    state.close()
    raw = bytearray(path.read_bytes())
    raw[4096:] = os.urandom(len(raw) - 4096)
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (write_garbage, "no SQLite database"),
        (write_another, "database of something else"),
        (write_newer, "newer reconciler"),
        (write_damaged, "damaged"),
        (Path.mkdir, "Is a directory"),
    ],
)
def test_what_is_no_state_of_ours_is_refused_with_a_remedy(
    path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    for attempt in (opened, open_readonly):
        with pytest.raises(StateError, match=said) as caught:
            attempt(path).events(EventFilter())
        assert caught.value.remedy
        assert str(path) in str(caught.value)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be made"):
        opened(tmp_path / "file" / "state.db")


def test_an_empty_file_becomes_a_state(path: Path) -> None:
    path.touch()
    assert open_readonly(path).empty()
    state = opened(path)
    assert state.empty()
    state.close()


def test_the_clock_of_the_caller_counts(path: Path) -> None:
    clock = SteppedClock(1000.0)
    state = opened(path, clock)
    assert columns(state, "SELECT since FROM lease") == [{"since": "1970-01-01T00:16:40.000000+00:00"}]
    state.close()
