"""Both lookouts speak the same language: run here as programs, without SSH."""

from __future__ import annotations

import ast
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

import pytest
from parts.presence import program

from reconciler.protocols import UNCHANGED, Glimpse, Sight, Want
from reconciler.transports.over_ssh import lookout as in_python
from reconciler.transports.over_ssh.frames import Answers, Bytes, Hello, Record
from reconciler.transports.over_ssh.register import Register

HERE = resources.files("reconciler.transports.over_ssh")
#: Every interpreter that is here; the older the better.
PYTHONS = [name for name in ("python3.6", "python3.7", "python3.8") if shutil.which(name)]


class Conversation:
    """One lookout and what it was told."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process, self.register, self.answers = process, Register(), Answers()
        self.raw = b""

    def look(self, *wants: Want, budget: int = 1 << 30) -> list[Glimpse]:
        self.write(self.register.request(wants, budget))
        self.answers.longest = self.register.longest
        return self.register.answer(self.records())

    def write(self, frame: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(frame)
        self.process.stdin.flush()

    def records(self) -> list[Record]:
        found: list[Record] = []
        self.raw = b""
        while True:
            assert self.process.stdout is not None
            data = os.read(self.process.stdout.fileno(), 1 << 20)
            assert data, "it ended"
            self.raw += data
            for record in self.answers.feed(data):
                found.append(record)
                if isinstance(record, Hello) or self.register.ends(record):
                    return found


@contextlib.contextmanager
def conversation(*argv: str) -> Iterator[Conversation]:
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        talk = Conversation(process)
        assert isinstance(talk.records()[0], Hello)
        yield talk
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0  # it ends with its input


@pytest.fixture(params=["python", "perl"])
def talk(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    argv = [sys.executable, "lookout.py"] if request.param == "python" else [program("perl"), "lookout.pl"]
    with conversation(*argv[:1], str(HERE / argv[1])) as made:
        yield made


def written(place: Path, sizes: Sequence[int]) -> list[Want]:
    for number, size in enumerate(sizes):
        (place / str(number)).write_bytes(bytes([65 + number % 26]) * size)
    return [Want(str(place / str(number))) for number in range(len(sizes))]


def test_idle_files_cost_nothing_in_the_answer(talk: Conversation, tmp_path: Path) -> None:
    wants = written(tmp_path, [5] * 100)
    known = [Want(want.path, 5, seen.stat) for want, seen in zip(wants, talk.look(*wants), strict=True)]
    assert {seen.sight for seen in talk.look(*known)} == {Sight.UNCHANGED}
    assert talk.raw == b"e 2\n"


def test_missing_and_failing_files_are_reported_once(talk: Conversation, tmp_path: Path) -> None:
    (tmp_path / "fifo").touch()
    (tmp_path / "fifo").unlink()
    os.mkfifo(tmp_path / "fifo")
    wants = [Want(str(tmp_path / "none")), Want(str(tmp_path / "fifo")), Want(str(tmp_path))]
    first = talk.look(*wants)
    assert [seen.sight for seen in first] == [Sight.MISSING, Sight.FAILED, Sight.FAILED]
    assert talk.look(*wants) == first
    assert talk.raw == b"e 2\n"
    (tmp_path / "none").write_text("now")
    assert talk.look(*wants)[0].data == b"now"
    (tmp_path / "none").unlink()
    assert talk.look(*wants) == first


def test_a_file_that_vanishes_and_comes_back_as_it_was_is_unchanged(talk: Conversation, tmp_path: Path) -> None:
    file, away = tmp_path / "out", tmp_path / "away"
    file.write_text("hello")
    known = Want(str(file), 5, talk.look(Want(str(file)))[0].stat)
    assert talk.look(known)[0].sight is Sight.UNCHANGED
    file.rename(away)
    assert talk.look(known)[0].sight is Sight.MISSING
    away.rename(file)
    assert talk.look(known) == [UNCHANGED]
    assert talk.raw == b"u 0\ne 4\n"


def test_what_all_files_get_together_is_bounded_and_shared_fairly(talk: Conversation, tmp_path: Path) -> None:
    wants = written(tmp_path, [100_000, 10, 50_000, 2_000, 100_000])
    seen = talk.look(*wants, budget=92_010)
    assert [len(glimpse.data) for glimpse in seen] == [30_000, 10, 30_000, 2_000, 30_000][: len(seen)]


def test_every_file_gets_on_however_little_there_is(talk: Conversation, tmp_path: Path) -> None:
    wants = written(tmp_path, [1_000] * 40)
    offsets = [0] * 40
    for _ in range(4):
        due = [Want(want.path, offset, context=64) for want, offset in zip(wants, offsets, strict=True)]
        seen = talk.look(*due, budget=100)
        moved = [glimpse.start + len(glimpse.data) for glimpse in seen]
        assert all(after > before for before, after in zip(offsets, moved, strict=True) if before < 1_000)
        offsets = moved
    assert offsets == [1_000] * 40


def test_half_a_request_is_the_end_and_no_crash(tmp_path: Path) -> None:
    for name, interpreter in (("lookout.py", sys.executable), ("lookout.pl", program("perl"))):
        done = subprocess.run(
            [interpreter, str(HERE / name)], input=b"100\np 0 2f", capture_output=True, timeout=30, check=True
        )
        assert (done.stdout.split()[0], done.stderr) == (b"h", b"")


@pytest.mark.parametrize("name", ["lookout.py", "lookout.pl"])
def test_a_reader_that_is_gone_ends_it_quietly(name: str, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 1_000_000)
    interpreter = sys.executable if name.endswith(".py") else program("perl")
    with subprocess.Popen(
        [interpreter, str(HERE / name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(Register().request([Want(str(tmp_path / "big"))], 1 << 30))
        process.stdin.flush()
        assert process.wait(10) != 0
        assert process.stderr.read() == b""


def test_the_python_lookout_is_python_3_6_and_imports_nothing_of_ours() -> None:
    tree = ast.parse((HERE / "lookout.py").read_text(), feature_version=(3, 6))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"errno", "os", "signal", "stat", "sys", "time"}
    froms = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert froms == ["typing"]  # for type checkers alone
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AnnAssign | ast.NamedExpr | ast.JoinedStr)]


@pytest.mark.parametrize("name", PYTHONS)
def test_older_pythons_run_it(name: str, tmp_path: Path) -> None:
    if subprocess.run([name, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"{name} is a name without a Python")
    with conversation(name, "-I", "-S", str(HERE / "lookout.py")) as talk:
        wants = written(tmp_path, [10, 20])
        assert [len(seen.data) for seen in talk.look(*wants)] == [10, 20]


def test_a_slow_file_system_gives_signs_of_life(tmp_path: Path) -> None:
    class Slow(in_python.Lookout):
        """Every look at the clock is two seconds later."""

        def tick(self) -> None:
            self.ticked -= 2
            super().tick()

    source, answer = tmp_path / "requests", tmp_path / "answers"
    source.write_bytes(Register().request(written(tmp_path, [1, 2]), 1000))
    with source.open("rb") as requests, answer.open("wb") as answers:
        Slow(requests, answers).serve()
    raw = answer.read_bytes()
    assert raw.count(b"t\n") == 3
    records = list(Answers(1000).feed(raw))
    assert [len(record.data) for record in records if isinstance(record, Bytes)] == [1, 2]
