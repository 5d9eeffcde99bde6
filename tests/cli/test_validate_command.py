"""`reconcile validate` shows everything wrong at once, with its place, for people and for CI."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from reconciler.cli import main
from reconciler.cli.problems import snippet

GOOD = "name: {name}\npattern: a\nactions: [{{type: log_event, params: {{message: m}}}}]\n"
BAD = "name: bad\npattern: a\ninterval_seconds: '60'\nfoo: 1\nactions: [{type: cancel_job}]\n"
DOUBTFUL = "name: doubtful\npattern: a\nactions: [{type: log_event, params: {message: $q}}]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory `w` with a good, a bad and a doubtful file, as the current directory's only one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "w"
    folder.mkdir()
    (folder / "a.yaml").write_text(GOOD.format(name="good"))
    (folder / "b.yml").write_text(BAD)
    (folder / "c.yaml").write_text(DOUBTFUL)
    return folder


def run(*words: str) -> int:
    return main(["validate", *words])


@pytest.mark.usefixtures("folder")
def test_people_see_place_line_caret_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("w") == 4
    shown = capsys.readouterr().out
    assert "w/b.yml:3:19: error[wrong-type] `interval_seconds` should be a number, and is text\n" in shown
    lines = shown.splitlines()
    caret = next(line for line in lines if line.endswith("^"))
    assert lines[lines.index(caret) - 1][caret.index("^") :] == "'60'"
    assert "remedy: write a number, without quotes" in shown
    assert "w/b.yml:4:1: error[unknown-key]" in shown
    assert lines[-1] == "3 files, 2 watchers: 2 errors, 1 warning"


def test_good_files_end_with_0_and_say_how_many_there_were(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.yml").unlink()
    (folder / "c.yaml").unlink()
    assert run("w") == 0
    assert capsys.readouterr().out == "1 file, 1 watcher: nothing to complain of\n"


@pytest.mark.usefixtures("folder")
def test_what_is_named_twice_is_checked_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("w", "./w", "w/a.yaml") == 4
    assert capsys.readouterr().out.endswith("3 files, 2 watchers: 2 errors, 1 warning\n")
    assert run("w/a.yaml", f"{os.getcwd()}/w/a.yaml") == 0


@pytest.mark.usefixtures("folder")
def test_warnings_fail_only_where_they_are_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("w/c.yaml") == 0
    assert "warning[unknown-variable]" in capsys.readouterr().out
    assert run("w/c.yaml", "--strict") == 4


@pytest.mark.usefixtures("folder")
def test_json_has_every_problem_and_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("w", "-o", "json") == 4
    body = json.loads(capsys.readouterr().out)
    assert (body["files"], body["watchers"], body["errors"], body["warnings"]) == (3, 2, 2, 1)
    assert [(p["file"], p["line"], p["column"], p["code"]) for p in body["problems"]] == [
        ("w/b.yml", 3, 19, "wrong-type"),
        ("w/b.yml", 4, 1, "unknown-key"),
        ("w/c.yaml", 3, 47, "unknown-variable"),
    ]


@pytest.mark.usefixtures("folder")
def test_json_lines_are_the_problems(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("w", "-o", "jsonl") == 4
    assert [json.loads(line)["code"] for line in capsys.readouterr().out.splitlines()] == [
        "wrong-type",
        "unknown-key",
        "unknown-variable",
    ]


@pytest.mark.usefixtures("folder")
def test_github_gets_annotations(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("w", "-o", "github") == 4
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("::error file=w/b.yml,line=3,col=19,title=wrong-type::`interval_seconds` should be")
    assert second.startswith("::error file=w/b.yml,line=4,col=1,title=unknown-key::")
    assert third.startswith("::warning file=w/c.yaml,line=3,col=47,title=unknown-variable::")


def test_no_file_can_write_a_workflow_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.yml").write_text('"x\\n::stop-commands::y\\r%": 1\n')
    assert run("w/b.yml", "-o", "github") == 4
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all(line.startswith("::error file=w/b.yml") for line in lines)
    assert any("%0A" in line and "%0D" in line and "%25" in line for line in lines)


def test_junit_gives_a_whole_file_no_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.yml").write_text("")
    assert run("w", "-o", "junit") == 4
    assert "w/b.yml: error[empty]" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_junit_has_a_case_for_each_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("w", "-o", "junit") == 4
    suite = ElementTree.fromstring(capsys.readouterr().out.encode())
    assert suite.attrib["tests"] == "3"
    assert suite.attrib["failures"] == "1"
    cases = {case.attrib["name"]: case for case in suite}
    assert len(cases["w/b.yml"].findall("failure")) == 2
    assert len(cases["w/a.yaml"]) == 0
    assert len(cases["w/c.yaml"].findall("failure")) == 0


@pytest.mark.usefixtures("folder")
def test_sarif_has_a_result_with_a_region_for_each_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("w", "-o", "sarif") == 4
    body = json.loads(capsys.readouterr().out)
    (log,) = body["runs"]
    rules = [rule["id"] for rule in log["tool"]["driver"]["rules"]]
    assert body["version"] == "2.1.0"
    for result in log["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    place = log["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "w/b.yml"}, "region": {"startLine": 3, "startColumn": 19}}
    assert [result["level"] for result in log["results"]] == ["error", "error", "warning"]


def test_a_problem_of_a_whole_file_has_no_region(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.yml").write_bytes(b"#" * 2_000_000)
    assert run("w/b.yml", "-o", "sarif") == 4
    place = json.loads(capsys.readouterr().out)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert "region" not in place
    assert run("w/b.yml") == 4
    assert "w/b.yml: error[file-too-large]" in capsys.readouterr().out


def test_a_directory_whose_name_is_no_utf_8_is_told_in_every_form(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.rename(folder.parent / "w\udcff")
    for form in ("table", "json", "github", "junit"):
        assert run("w\udcff", "-o", form) == 4
    capsys.readouterr()
    assert run("w\udcff", "-o", "sarif") == 4
    result = json.loads(capsys.readouterr().out)["runs"][0]["results"][0]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "w%FF/b.yml"


def test_one_name_in_two_files_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.yml").write_text(GOOD.format(name="good"))
    assert run("w", "-o", "json") == 4
    problem = json.loads(capsys.readouterr().out)["problems"][-1]
    assert (problem["code"], problem["file"]) == ("name-twice", "w/b.yml")
    assert "w/a.yaml:1" in problem["message"]


def test_a_later_directory_replaces_a_file_of_the_same_name(folder: Path) -> None:
    over = folder.with_name("over")
    over.mkdir()
    (over / "b.yml").write_text(GOOD.format(name="mended"))
    assert run("w", "over") == 0
    assert run("over", "w") == 4


def test_names_that_hold_no_watchers_are_passed_over_and_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "b.yml").rename(folder / "b.yml.bak")
    for name in (".hidden.yaml", "a.test.yaml", "-x.yaml"):
        (folder / name).write_text(BAD)
    (folder / "templates").mkdir()
    (folder / "templates" / "t.yaml").write_text(BAD)
    assert run("w") == 0
    said = capsys.readouterr()
    assert said.out.endswith("2 files, 2 watchers: 0 errors, 1 warning\n")
    assert sorted(line.split()[1] for line in said.err.splitlines()) == ["w/-x.yaml:", "w/b.yml.bak:"]


def test_a_file_that_is_named_is_checked_whatever_its_name(folder: Path) -> None:
    (folder / "b.yml").rename(folder / "template")
    assert run("w/template") == 4


@pytest.mark.usefixtures("folder")
def test_standard_input_is_a_file_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    assert run("-") == 4
    assert "<stdin>:3:19: error[wrong-type]" in capsys.readouterr().out


def test_a_test_file_that_is_named_is_checked_as_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.test.yaml").write_text("tests:\n  - name: t\n    output: a\n    expct: {}\n")
    assert run("w/a.test.yaml") == 4
    assert "did you mean `expect`?" in capsys.readouterr().out


def test_a_condition_or_pattern_that_can_never_run_makes_a_file_bad(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "b.yml").write_text(GOOD.format(name="b") + "condition: __import__('os').system('x')\n")
    assert run("w/b.yml") == 4
    assert "w/b.yml:4:12: error[bad-condition]" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_a_problem_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").chmod(0)
    assert run("w/a.yaml") == 4
    assert "error[unreadable]" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_a_file_without_an_end_is_read_as_far_as_the_loader_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("/dev/zero") == 4
    assert "/dev/zero: error[file-too-large] the file has more than 1,048,576 bytes" in capsys.readouterr().out


def test_a_file_that_may_not_be_looked_at_holds_up_no_other(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one in a directory without its x bit answers."""
    look = Path.stat

    def refuse(path: Path, **words: bool) -> os.stat_result:
        if path == Path("w/a.yaml"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, **words)

    (folder / "a.yaml").unlink()
    (folder / "a.yaml").symlink_to("nowhere")
    monkeypatch.setattr(Path, "stat", refuse)
    assert run("w") == 4
    shown = capsys.readouterr().out
    assert "w/a.yaml: error[unreadable]" in shown
    assert "w/b.yml:3:19: error[wrong-type]" in shown


@pytest.mark.parametrize("target", ["nowhere", "dangling.yaml"])
def test_a_link_that_leads_nowhere_is_a_problem_here_as_in_a_pass(
    folder: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    (folder / "b.yml").unlink()
    (folder / "dangling.yaml").symlink_to(folder / target)
    (folder / "masked.yaml").symlink_to(os.devnull)
    assert run("w") == 4
    assert "w/dangling.yaml: error[unreadable]" in capsys.readouterr().out


def test_without_words_the_directories_of_the_settings_are_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = folder.with_name("reconciler.yaml")
    config.write_text(f"directories: [{folder}]\n")
    assert run("--config", str(config)) == 4
    assert f"{folder}/b.yml:3:19" in capsys.readouterr().out


def test_settings_with_other_sources_alone_are_no_clean_bill(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder.with_name("reconciler.yaml")
    config.write_text("sources: [{type: git, git: 'hub:watchers.git'}]\n")
    assert run("--config", str(config)) == 64
    assert "the settings name no directory" in capsys.readouterr().err


def test_settings_that_are_wrong_are_told_with_their_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder.with_name("reconciler.yaml")
    config.write_text("limits:\n  line_bytes: many\n")
    assert run("--config", str(config)) == 4
    assert f"{config}:2:15" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_a_path_that_is_not_there_is_wrong_usage() -> None:
    assert run("nowhere") == 64


# --- the shown line --------------------------------------------------------------------------------------------------


def test_a_long_line_is_cut_to_what_is_around_the_place() -> None:
    line, caret = snippet("x" * 500 + "HERE" + "y" * 500, 7, 501).splitlines()
    assert len(line) < 200
    assert line[caret.index("^") :].startswith("HERE")


@pytest.mark.parametrize("before", ["\t", "\x1b[31m", "é", "\r", "\u202e"])
def test_hostile_characters_are_written_out_and_the_caret_stays_right(before: str) -> None:
    line, caret = snippet(f"{before}HERE", 7, len(before) + 1).splitlines()
    assert "\x1b" not in line
    assert line[caret.index("^") :] == "HERE"


def test_a_place_beyond_the_line_is_behind_its_end() -> None:
    line, caret = snippet("ab", 1, 3).splitlines()
    assert caret.index("^") == len(line)
