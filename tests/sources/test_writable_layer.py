"""The writable layer tells deliberate deletions from files that merely vanished; other directories do not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from parts.house import House

from reconciler.errors import ExitCode
from reconciler.sources.directory import DELETED, DirectorySource

SPEC = "name: {name}\npattern: x\nactions: [{{type: log_event, params: {{message: x}}}}]\n"


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    directory = tmp_path / "api.d"
    (directory / DELETED).mkdir(parents=True)
    return directory


def settle(directory: Path) -> None:
    for each in (directory, *directory.iterdir()):
        os.utime(each, (time.time() - 10,) * 2)


async def test_what_was_moved_away_is_deleted_and_what_is_there_is_not(layer: Path) -> None:
    (layer / "a.yaml").write_text("x")
    (layer / DELETED / "a.yaml").write_text("older")
    (layer / DELETED / "b.yaml").write_text("x")
    settle(layer)
    found = await DirectorySource(layer, kind="api").snapshot()
    assert [file.name for file in found.files] == ["a.yaml"]
    assert found.deleted == {str(layer / "b.yaml")}
    plain = await DirectorySource(layer).snapshot()
    assert plain.deleted == frozenset()


async def test_a_layer_where_nothing_was_ever_deleted(tmp_path: Path) -> None:
    (tmp_path / "api.d").mkdir()
    settle(tmp_path)
    assert (await DirectorySource(tmp_path / "api.d", kind="api").snapshot()).deleted == frozenset()


async def test_a_deletion_on_purpose_stops_at_the_next_pass_and_a_mere_loss_does_not(house: House) -> None:
    house.with_jobs().add("1")
    layer = house.home / "api.d"
    (layer / DELETED).mkdir(parents=True)
    for name in ("meant", "lost", "stays"):
        (layer / f"{name}.yaml").write_text(SPEC.format(name=name))
    settle(layer)
    await house.once()
    (layer / "meant.yaml").rename(layer / DELETED / "meant.yaml")
    (layer / "lost.yaml").unlink()
    settle(layer)
    report = await house.once()
    assert ExitCode.REFUSED not in report.codes()
    assert {row.name: str(row.phase) for row in house.rows()} == {
        "meant": "stopped",
        "lost": "active",
        "stays": "active",
    }


async def test_the_last_file_may_be_deleted_on_purpose_but_not_be_lost(house: House) -> None:
    house.with_jobs().add("1")
    layer = house.home / "api.d"
    (layer / DELETED).mkdir(parents=True)
    (layer / "last.yaml").write_text(SPEC.format(name="last"))
    settle(layer)
    await house.once()
    (layer / "last.yaml").rename(house.home / "kept")
    settle(layer)
    assert ExitCode.REFUSED in (await house.once()).codes()
    assert house.row("last").phase == "active"
    (house.home / "kept").rename(layer / DELETED / "last.yaml")
    assert ExitCode.REFUSED not in (await house.once()).codes()
    assert house.row("last").phase == "stopped"
