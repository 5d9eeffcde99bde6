"""The page for those who write commands is true: its example runs, with every output."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from reconciler.cli import commands, main
from reconciler.cli.options import add_to

PAGE = Path(commands.__file__).with_name("README.md")


@pytest.fixture
def shout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command of the page, under the name it has there."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    code = re.sub(r"^ {3}", "", found[1], flags=re.MULTILINE)
    names: dict[str, click.Command] = {}
    exec(compile(code, str(PAGE), "exec", dont_inherit=True), names)
    monkeypatch.setitem(commands.COMMANDS, "shout", commands.Entry("Run", "Say a word loudly."))  # type: ignore[arg-type,unused-ignore]
    monkeypatch.setattr(commands.Commands, "get_command", lambda self, ctx, name: add_to(names["command"]))


@pytest.mark.usefixtures("shout")
def test_the_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shout", "hello"]) == 0
    assert capsys.readouterr().out == "WORD\nHELLO\n"
    assert main(["shout", "hello", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"format_version": 1, "words": [{"word": "HELLO"}]}


@pytest.mark.usefixtures("shout")
def test_its_help_has_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shout", "--help"]) == 0
    assert "  reconcile shout hello\n" in capsys.readouterr().out


@pytest.mark.usefixtures("shout")
def test_it_refuses_an_output_that_there_is_not() -> None:
    assert main(["shout", "hello", "-o", "xml"]) == 64
