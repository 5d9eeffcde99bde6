"""What is installed is what was meant: the built wheel holds the packaged files, and works away from the checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without a network."""
    target = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return next(target.glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_package_and_the_linked_folders(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "reconciler", "watchers.d", "schemas"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    links = {"reconciler/watchers.d", "reconciler/schemas"}
    wanted = {name if name.startswith("reconciler/") else f"reconciler/{name}" for name in tracked} - links
    assert {name for name in wanted if (ROOT / name).exists()} <= held


def test_the_wheel_holds_nothing_but_the_package(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"reconciler"}


def test_the_wheel_runs_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import reconciler.cli; "
        "print(reconciler.__file__); reconciler.cli.main(['--version']); sys.exit(reconciler.cli.main(['--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "site"))


def test_packaged_folders_are_found_by_importlib(tmp_path: Path) -> None:
    for folder in ("watchers.d", "schemas"):
        assert resources.files("reconciler").joinpath(folder).is_dir(), folder
