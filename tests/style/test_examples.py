"""Examples are true: command lines in help and pages can be called so, watchers and settings in pages are valid."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

from reconciler import app
from reconciler.cli.commands import Commands, present, reconcile

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
)
PAGES = [ROOT / name for name in TRACKED.stdout.splitlines() if (ROOT / name).is_file()]
#: Where the shell takes over, or a remark begins.
END_OF_COMMAND = re.compile(r"\s{2,}|\s[|>#&]|\s&&")


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language; blocks within lists lose their indent."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def command_lines(text: str) -> list[list[str]]:
    """Return the words behind `reconcile` of every line that calls it."""
    lines = re.findall(r"^\s*(?:\.venv/bin/)?reconcile (.*)$", text, re.MULTILINE)
    return [shlex.split(END_OF_COMMAND.split(line)[0]) for line in lines]


def parse(words: list[str]) -> None:
    """Parse the words as the command line does, without running anything. Raises what a user would be told."""
    with Commands.make_context(reconcile, "reconcile", list(words)) as context:
        rest = [*context._protected_args, *context.args]
        name, command, arguments = reconcile.resolve_command(context, rest)
        assert command is not None
        command.make_context(name, arguments, parent=context).close()


def called_in_pages() -> list[tuple[str, list[str]]]:
    return [
        (str(page.relative_to(ROOT)), words)
        for page in PAGES
        for language in ("sh", "bash", "console")
        for block in blocks(page, language)
        for words in command_lines(block)
    ]


def called_in_help() -> list[tuple[str, list[str]]]:
    context = click.Context(reconcile)
    found = []
    for name in present():
        command = reconcile.get_command(context, name)
        assert command
        found += [(name, words) for words in command_lines(command.epilog or "")]
    return [*found, *(("reconcile", words) for words in command_lines(reconcile.epilog or ""))]


@pytest.mark.parametrize("source", ["pages", "help"])
def test_every_command_line_that_is_shown_can_be_called(source: str) -> None:
    wrong = []
    for place, words in called_in_pages() if source == "pages" else called_in_help():
        if "--help" in words or words[0] in ("COMMAND", "shout"):
            continue
        try:
            parse(words)
        except click.FileError:
            continue
        except Exception as error:  # noqa: BLE001 - whatever is wrong with an example is told with its place
            if "does not exist" not in str(error):
                wrong.append(f"{place}: reconcile {shlex.join(words)}: {error}")
    assert wrong == []


@pytest.mark.parametrize("words", [["status", "--bogus"], ["statsu"], ["events", "-n", "many"]])
def test_a_wrong_command_line_is_noticed(words: list[str]) -> None:
    with pytest.raises(Exception, match=r"."):
        parse(words)


def test_no_example_gives_a_directory_to_an_option_that_takes_a_word() -> None:
    """`--approve ./watchers.d` would take the directory for the digest."""
    lines = [(place, words) for place, words in [*called_in_pages(), *called_in_help()]]
    assert [
        line for line in lines for a, b in zip(line[1], line[1][1:], strict=False) if a == "--approve" and "/" in b
    ] == []


# --- watchers and settings -------------------------------------------------------------------------------------------


def yaml_blocks() -> list[tuple[Path, str]]:
    return [(page, block) for page in PAGES for block in blocks(page, "yaml")]


def test_every_watcher_in_the_pages_is_valid() -> None:
    watchers = [(page, block) for page, block in yaml_blocks() if re.search(r"^(- )?name: ", block, re.MULTILINE)]
    watchers = [(page, block) for page, block in watchers if re.search(r"^ *actions:", block, re.MULTILINE)]
    assert len(watchers) >= 2
    wrong = [
        f"{page.relative_to(ROOT)}: {problem}"
        for page, block in watchers
        for problem in app.parse(block.encode(), "example.yaml").problems
    ]
    assert wrong == []


def test_every_settings_file_in_the_pages_is_valid(tmp_path: Path) -> None:
    settings = [
        block for _, block in yaml_blocks() if re.search(r"^(hosts|policy|state|directories):", block, re.MULTILINE)
    ]
    assert settings
    for block in settings:
        file = tmp_path / "config.yaml"
        file.write_text(block)
        app.load_settings(file)


@pytest.mark.parametrize(
    ("path", "checked"),
    [
        ("watchers.d/oom.yaml", True),
        ("hpc/watchers.d/vision/oom.yml", True),
        ("watchers.yaml", True),
        ("watchers.d/oom.test.yaml", False),
        (".github/workflows/watchers.yml", False),  # as the README calls the recipe of CI
        ("watchers.d/.oom.yaml", False),
        ("reconciler.yaml", False),
    ],
)
def test_the_hook_of_pre_commit_checks_watchers_and_nothing_else(path: str, checked: bool) -> None:
    """Pre-commit searches the expressions in paths from the root of the repository."""
    (hook,) = YAML(typ="safe").load(ROOT / ".pre-commit-hooks.yaml")
    taken = re.search(hook["files"], path) and not re.search(hook["exclude"], path)
    assert bool(taken) is checked
    parse([*shlex.split(hook["entry"])[1:], str(ROOT / "watchers.d" / "traceback.yaml")])
