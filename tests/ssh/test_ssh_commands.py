"""Arguments become text for a login shell in one place, and mean themselves in every shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts.hostile import words

from reconciler.transports.over_ssh.commands import LONGEST, MARK, Preface, kill, wrap

SHELLS = [name for name in ("sh", "bash", "dash", "zsh", "ksh", "tcsh", "fish") if shutil.which(name)]
PRINT = [sys.executable, "-c", "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"]


def carried_out(shell: str, text: str, **more: str) -> tuple[int, bytes, bytes]:
    """Run a command text as sshd does, and take the prefaces off."""
    done = subprocess.run([shell, "-c", text], capture_output=True, timeout=60, env={**os.environ, **more})
    return done.returncode, Preface().feed(done.stdout), Preface().feed(done.stderr)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_hostile_word_arrives_as_it_is_and_runs_nothing(shell: str, tmp_path: Path) -> None:
    hostile = words(str(tmp_path / "canary"))
    status, out, err = carried_out(shell, wrap([*PRINT, *hostile]))
    assert (status, err) == (0, b"")
    assert out.split(b"\0") == [os.fsencode(word) for word in hostile]
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_hostile_word_is_only_a_value_of_the_environment(shell: str, tmp_path: Path) -> None:
    env = {f"V{number}": word for number, word in enumerate(words(str(tmp_path / "canary")))}
    show = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(k + b'=' + v for k, v in sorted(os.environb.items())))"
    _, out, err = carried_out(shell, wrap([sys.executable, "-c", show], env=env))
    seen = dict(item.split(b"=", 1) for item in out.split(b"\0"))
    assert err == b""
    # Python itself sets LC_CTYPE where no locale is.
    assert {k: v for k, v in seen.items() if k != b"LC_CTYPE"} == {k.encode(): os.fsencode(v) for k, v in env.items()}
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_directory_of_any_name_is_entered(shell: str, tmp_path: Path) -> None:
    for number, word in enumerate(words("canary")):
        if "/" in word or len(os.fsencode(word)) > 250 or word in ("", "~"):
            continue
        place = tmp_path / f"{word}{number}"
        place.mkdir()
        _, out, _ = carried_out(shell, wrap(["pwd"], cwd=str(place)))
        assert out == os.fsencode(place) + b"\n"


def test_dash_is_a_directory_and_not_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "-").mkdir()
    monkeypatch.chdir(tmp_path)
    _, out, _ = carried_out("sh", wrap(["pwd"], cwd="-"), CDPATH="/", OLDPWD="/")
    assert out == os.fsencode(tmp_path / "-") + b"\n"


def test_a_directory_that_is_not_there_runs_nothing(tmp_path: Path) -> None:
    status, out, err = carried_out("sh", wrap(["echo", "ran"], cwd=str(tmp_path / "none")))
    assert (status, out) == (126, b"")
    assert b"none" in err


@pytest.mark.parametrize("name", ["-x", "--help", "-i"])
@pytest.mark.parametrize("env", [None, {"PATH": "/usr/bin:/bin"}])
def test_a_program_whose_name_begins_with_a_dash_is_no_option(name: str, env: dict[str, str] | None) -> None:
    status, out, _ = carried_out("sh", wrap([name, "argument"], env=env))
    assert (status, out) == (127, b"")


@pytest.mark.parametrize("env", [None, {"PATH": "/usr/bin:/bin"}])
def test_a_program_whose_path_holds_an_equals_sign_is_no_variable(tmp_path: Path, env: dict[str, str] | None) -> None:
    place = tmp_path / "a=b"
    place.mkdir()
    (place / "say").write_text("#!/bin/sh\necho said $1\n")
    (place / "say").chmod(0o755)
    _, out, _ = carried_out("sh", wrap([str(place / "say"), "it"], env=env))
    assert out == b"said it\n"


def test_a_variable_whose_name_begins_with_a_dash_is_no_option() -> None:
    _, out, _ = carried_out("sh", wrap(["env"], env={"-u": "x", "--": "y", "PATH": "/usr/bin:/bin"}))
    assert sorted(out.split(b"\n")) == [b"", b"--=y", b"-u=x", b"PATH=/usr/bin:/bin"]


@pytest.mark.parametrize(
    ("argv", "env"),
    [
        (["a\0b"], None),
        (["a", "b\0"], None),
        ([], None),
        ([""], None),
        (["a"], {"": "x"}),
        (["a"], {"A=B": "x"}),
        (["a"], {"A": "x\0"}),
        (["a", "\ud800"], None),
        (["a", "x" * LONGEST], None),
        (["a", "'" * (LONGEST // 4)], None),
    ],
)
def test_what_cannot_be_said_is_refused(argv: list[str], env: dict[str, str] | None) -> None:
    with pytest.raises(ValueError, match=r"."):
        wrap(argv, env=env)


def test_the_text_is_plain_ascii_on_one_line(tmp_path: Path) -> None:
    text = wrap(["prog", *words("c")], cwd="/a\n'b", env={"A": "é\n'"})
    assert text.isascii()
    assert text.isprintable()
    assert text.count("'") == 4  # two pairs, whatever is inside


ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY_TEXT, max_size=6))
def test_any_words_arrive(arguments: list[str]) -> None:
    _, out, _ = carried_out("sh", wrap([*PRINT, *arguments]))
    assert out == b"\0".join(word.encode() for word in arguments)


def test_killing_takes_the_group_and_falls_back_to_the_process() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"], start_new_session=True) as group:
        subprocess.run(["sh", "-c", kill(group.pid)], check=True, capture_output=True)
        assert group.wait(10) == -9
    with subprocess.Popen(["sleep", "60"]) as alone:  # leads no group
        subprocess.run(["sh", "-c", kill(alone.pid)], check=True, capture_output=True)
        assert alone.wait(10) == -9


def test_the_noise_of_a_shell_is_taken_off_whatever_the_pieces() -> None:
    stream = b"Welcome!\nmodule loaded\n" + MARK + b"4711\n" + b"output\n" + MARK + b"1\n"
    for size in (1, 2, 3, 7, 1000):
        preface = Preface()
        rest = b"".join(preface.feed(stream[place : place + size]) for place in range(0, len(stream), size))
        assert rest == b"output\n" + MARK + b"1\n"
        assert (preface.process, preface.passed) == (4711, True)
        assert preface.noise == b"Welcome!\nmodule loaded\n"


def test_noise_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="without end"):
        Preface().feed(b"y\n" * 1_000_000)
