"""Which definitions still stand though a pass does not read their source."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.engine.standing import stands
from reconciler.model import Origin

NEW = Origin("directory:/nowhere", "/nowhere/w.yaml", 1)


def test_a_file_stands_while_it_exists_and_is_not_the_same_file(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    old = Origin(f"directory:{tmp_path}", str(file), 1)
    assert not stands(frozenset, old, NEW)
    file.touch()
    assert stands(frozenset, old, NEW)
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    assert not stands(frozenset, old, Origin(old.source, str(link), 1))
    assert not stands(frozenset, Origin(old.source, str(file / "w.yaml"), 1), NEW)


@pytest.mark.parametrize("configured", [True, False])
def test_a_source_of_another_kind_stands_while_the_settings_name_it(configured: bool) -> None:
    name = "git:https://example.org/x.git#main:"
    others = frozenset({"git:https://example.org/other.git#main:", *([name] if configured else [])})
    assert stands(lambda: others, Origin(name, "w.yaml", 1, "0123"), NEW) is configured
