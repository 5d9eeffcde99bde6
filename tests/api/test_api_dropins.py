"""Files of the writable layer: written whole, for their owner alone, deleted on purpose and kept as copies."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.engine import dropins
from reconciler.engine.dropins import Dropins
from reconciler.errors import StateError
from reconciler.sources.directory import DELETED
from reconciler.sources.files import accepted


@pytest.fixture
def layer(tmp_path: Path) -> Dropins:
    return Dropins(tmp_path / "api.d")


@given(st.text(min_size=1, max_size=200), st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z"))
def test_every_name_gets_a_file_that_the_source_takes(name: str, job_id: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    path = Dropins(Path("/api.d")).path_for(name, job_id)
    assert accepted(path.name)
    assert path.parent == Path("/api.d")
    assert len(path.name) < 200


def test_names_that_look_alike_get_files_of_their_own(layer: Dropins) -> None:
    names = ["a b", "a-b", "A B", "a  b", "ä", "ö", "!", "?"]
    assert len({layer.path_for(name, "1") for name in names}) == len(names)
    assert layer.path_for("a", "1") != layer.path_for("a", "2")


def test_the_copies_stand_where_the_source_looks_for_them() -> None:
    assert dropins.DELETED == DELETED


def test_a_file_is_its_owners_alone_and_so_is_its_folder(layer: Dropins) -> None:
    path = layer.path_for("w", "1")
    layer.write(path, "name: w\n")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert layer.read(path) == "name: w\n"
    assert layer.owns(str(path))
    assert not layer.owns("/elsewhere/w.yaml")
    assert not layer.owns("w.yaml")
    assert not layer.owns(str(path.parent / "deep" / "w.yaml"))


def test_whoever_looks_sees_the_old_file_or_the_new_one(layer: Dropins) -> None:
    path = layer.path_for("w", "1")
    texts = ["a" * 100_000, "b" * 100_000]
    layer.write(path, texts[0])
    seen: set[str] = set()
    end = threading.Event()

    def look() -> None:
        while not end.is_set():
            seen.add(path.read_text())

    looking = threading.Thread(target=look)
    looking.start()
    for number in range(200):
        layer.write(path, texts[number % 2])
    end.set()
    looking.join()
    assert seen <= set(texts)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_link_is_replaced_and_what_it_points_at_is_not_written(layer: Dropins, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("x")
    path = layer.path_for("w", "1")
    path.parent.mkdir()
    path.symlink_to(precious)
    layer.write(path, "new")
    assert (precious.read_text(), path.is_symlink(), path.read_text()) == ("x", False, "new")


def test_a_new_file_takes_no_name_that_is_in_use(layer: Dropins) -> None:
    path = layer.path_for("w", "1")
    paths = [layer.create(path, text) for text in ("one", "two")]
    path.with_name(f"{path.stem}-3.yaml").symlink_to("/nowhere")
    paths.append(layer.create(path, "three"))
    assert [each.name for each in paths] == [f"{path.stem}{number}.yaml" for number in ("", "-2", "-4")]
    assert [layer.read(each) for each in paths] == ["one", "two", "three"]
    assert accepted(paths[1].name)
    assert paths[1].stat().st_mode & 0o777 == 0o600
    assert len(list(path.parent.iterdir())) == 4  # no draft is left


def test_a_name_that_is_taken_at_the_last_moment_is_left_alone(layer: Dropins, monkeypatch: pytest.MonkeyPatch) -> None:
    path = layer.path_for("w", "1")
    link = os.link

    def taken_first(draft: Path, place: Path) -> None:
        if place == path:
            path.write_text("by hand")
        link(draft, place)

    monkeypatch.setattr(os, "link", taken_first)
    assert layer.create(path, "new") != path
    assert path.read_text() == "by hand"


def test_a_file_system_without_links_takes_new_files_too(layer: Dropins, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(draft: Path, place: Path) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refused)
    paths = [layer.create(layer.path_for("w", "1"), text) for text in ("one", "two")]
    assert [layer.read(path) for path in paths] == ["one", "two"]
    assert len(list(layer.directory.iterdir())) == 2


def test_only_what_stands_there_is_exchanged(layer: Dropins) -> None:
    path = layer.path_for("w", "1")
    assert layer.exchange(path, None, "one")
    assert not layer.exchange(path, None, "other")
    assert not layer.exchange(path, "other", "two")
    assert not layer.exchange(path, "other", None)
    assert layer.read(path) == "one"
    assert layer.exchange(path, "one", "two")
    assert layer.exchange(path, "two", None)
    assert not path.exists()
    assert not layer.exchange(path, "two", "three")


def test_a_deleted_file_is_kept_as_a_copy_until_it_is_written_again(layer: Dropins) -> None:
    path = layer.path_for("w", "1")
    layer.write(path, "one")
    layer.delete(path)
    copy = path.parent / DELETED / path.name
    assert (path.exists(), copy.read_text()) == (False, "one")
    layer.delete(path)
    layer.write(path, "two")
    assert not copy.exists()


def test_copies_do_not_pile_up(layer: Dropins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropins, "MOST_COPIES", 3)
    layer.thin_out()
    for number in range(6):
        path = layer.path_for(f"w{number}", "1")
        layer.write(path, "x")
        os.utime(path, (-number, -number))  # that of the file says nothing of when it was deleted
        layer.delete(path)
    copies = layer.directory / DELETED
    layer.thin_out()
    assert len(list(copies.iterdir())) == 6
    monkeypatch.setattr(dropins, "SEEN", -60.0)
    layer.thin_out()
    assert {file.name.split("-")[2] for file in copies.iterdir()} == {"w3", "w4", "w5"}


def test_what_cannot_be_written_or_read_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "api.d").write_text("a file stands here")
    layer = Dropins(tmp_path / "api.d")
    for attempt in (lambda p: layer.write(p, "x"), lambda p: layer.create(p, "x"), layer.read, layer.delete):
        with pytest.raises(StateError):
            attempt(layer.path_for("w", "1"))
    assert [file.name for file in tmp_path.iterdir()] == ["api.d"]
    assert layer.modified(layer.path_for("w", "1")) is None


def test_a_file_that_is_no_text_is_said(layer: Dropins) -> None:
    path = layer.path_for("w", "1")
    layer.write(path, "x")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(StateError):
        layer.read(path)
    path.write_bytes(b"\xef\xbb\xbfname: w")
    assert layer.read(path) == "name: w"
