"""No line is given up for what has nothing to do with it: garbage that is collected meanwhile, threads that work."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
import regex
from parts.matching import compiled, found, fresh

from reconciler.logic.collecting import Held
from reconciler.logic.hits import Found
from reconciler.logic.patterns import LineHit, PatternSet, Rule
from reconciler.logic.scanner import StreamScanner
from reconciler.logic.tier_fallback import TextFinder
from reconciler.logic.tier_re2 import LIMIT, SAFE_LENGTH, Finder, OverTime
from reconciler.model import Position


def burn(seconds: float) -> None:
    """Use up so much processor time of this thread."""
    due = time.thread_time() + seconds
    while time.thread_time() < due:
        pass


@pytest.fixture
def slow_collection() -> Iterator[None]:
    """Let every collection of garbage take more than a search may, and come for every few hundred objects."""

    def pause(phase: str, _info: object) -> None:
        if phase == "start":
            burn(1.5 * LIMIT)

    before = gc.get_threshold()
    gc.callbacks.append(pause)
    gc.set_threshold(400, 1000, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(pause)


@pytest.mark.usefixtures("slow_collection")
@pytest.mark.parametrize("multiline", [1, 2])
@pytest.mark.parametrize(
    ("expression", "line"), [(r"(\w)\1", "aabb ccdd " * 100), (r"(\w)(\d)", "a1" + " b2" * (SAFE_LENGTH // 3 + 10))]
)
def test_a_collection_of_garbage_costs_no_line_its_matches(expression: str, line: str, multiline: int) -> None:
    scanner = StreamScanner(fresh([Rule(expression, multiline=multiline)], hyperscan=False), Position())
    rows = found(scanner.feed(line.encode() + b"\n"), scanner.patterns)
    assert scanner.overruns == []
    assert [row[3] for row in rows] == [met.group() for met in compiled(expression).finditer(line)]


@pytest.mark.usefixtures("slow_collection")
@pytest.mark.parametrize("finder", [TextFinder("(a)"), Finder("(a)")], ids=["fallback", "re2"])
def test_a_search_is_over_before_garbage_is_collected(finder: TextFinder | Finder) -> None:
    text = "a" * (SAFE_LENGTH + 1)
    met = finder.find(text) if isinstance(finder, TextFinder) else finder.find(text.encode())
    assert len(met) == len(text)
    assert gc.isenabled()


def test_what_a_collection_takes_is_not_taken_from_the_patterns_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def find(self: PatternSet, index: int, hit: LineHit, limit: float = 0.0) -> list[Found]:
        limits.append(limit)
        assert not gc.isenabled()
        return []

    monkeypatch.setattr(PatternSet, "find", find)
    StreamScanner(fresh([Rule("(?=a)a"), Rule("(?=a).")], hyperscan=False), Position()).feed(b"a\n")
    assert limits == [LIMIT, LIMIT]
    assert gc.isenabled()


def test_garbage_is_collected_again_after_a_search_that_was_stopped() -> None:
    for finder in (TextFinder("(a|aa)+$(?<=b)"), Finder("a(?:.*)b|a")):
        with pytest.raises(OverTime):
            finder.find("a" * 60) if isinstance(finder, TextFinder) else finder.find(b"a" * 65_000)
        assert gc.isenabled()


def test_what_was_off_stays_off() -> None:
    gc.disable()
    try:
        with Held():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


class Stopped:
    """The `regex` module's pattern, whose clock is said to be over in the first searches, `used` seconds later."""

    def __init__(self, times: int, used: float) -> None:
        self._pattern, self._times, self._used, self.searches = regex.compile(r"(\w)\1"), times, used, 0

    def _begin(self) -> None:
        self.searches += 1
        if self.searches <= self._times:
            burn(self._used)
            raise TimeoutError("regex timed out")

    def finditer(self, *given: object, **more: object) -> object:
        """Find, if it is not stopped."""
        self._begin()
        return self._pattern.finditer(*given, **more)

    def search(self, *given: object, **more: object) -> object:
        """Search, if it is not stopped."""
        self._begin()
        return self._pattern.search(*given, **more)


@pytest.fixture(params=["find", "matches"])
def outcome(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a function that says whether one search got through, and how often it was tried."""

    def ask(times: int, used: float) -> tuple[bool, int]:
        stopped = Stopped(times, used)
        monkeypatch.setattr(regex, "compile", lambda *_given, **_more: stopped)
        finder = TextFinder("whatever")
        try:
            return bool(getattr(finder, request.param)("aabb")), stopped.searches
        except OverTime:
            return False, stopped.searches

    return ask


@pytest.mark.parametrize(
    ("times", "used", "got"),
    [(0, 0.0, (True, 1)), (1, LIMIT / 4, (True, 2)), (2, 0.0, (False, 2)), (1, 1.1 * LIMIT, (False, 1))],
)
def test_a_search_that_others_used_up_the_time_of_is_tried_once_more(
    outcome: object, times: int, used: float, got: tuple[bool, int]
) -> None:
    assert callable(outcome)
    assert outcome(times, used) == got


@contextmanager
def busy_thread() -> Iterator[None]:
    """Run another thread that does nothing but work and gives way after a tenth of a second only."""
    over, running = Event(), Event()

    def work() -> None:
        running.set()
        while not over.is_set():
            pass

    before = sys.getswitchinterval()
    worker = Thread(target=work)
    worker.start()
    running.wait()
    sys.setswitchinterval(0.1)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        over.set()
        worker.join()


def test_a_search_does_not_wait_for_other_threads_while_its_clock_runs() -> None:
    finder = TextFinder("(a|aa)+$(?<=b)|z")
    with busy_thread():
        assert [finder.matches("a" * 16 + "z") for _ in range(3)] == [True] * 3


def test_no_time_at_all_is_a_limit_too() -> None:
    finder = TextFinder("(a|aa)+$(?<=b)")
    for limit in (0.0, -1.0):
        with pytest.raises(OverTime):
            finder.find("a" * 27, limit=limit)
        with pytest.raises(OverTime):
            finder.matches("a" * 27, limit=limit)
