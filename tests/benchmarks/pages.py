"""What the web pages cost a browser: 10,000 watchers listed and searched, then events as they come.

    python tests/benchmarks/pages.py [SECONDS]

Prints how long it takes from the navigation to the first cards and to the whole list, what a search takes once typing
has paused, and for SECONDS (default 60) of 50 events a second: runs of the page's thread over 100 ms, gaps between
frames, and the memory before and after. Watchers and events are real rows of a real daemon, in one process with the
server.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from parts.house import House, Jobs
from parts.served import Served, serving
from parts.waiting import eventually
from parts.window import Window, browser, window_on
from playwright.async_api import CDPSession

from reconciler.events import Event, EventType
from reconciler.model import Watcher
from reconciler.protocols import Batch, StateWriting

JOBS, SPECS, RATE = 500, 20, 50
WATCHERS = JOBS * SPECS
QUERIES = ("loss", "4123", "train-77 checkpoint", "chkpt", "vision", "gpu memory", "nothing like this", "l")
READY = """
() => {
  const all = document.querySelector(".filters .count");
  return document.querySelector(".watcher") && all && Number(all.textContent) >= WANTED ? performance.now() : 0;
}
"""
SEARCH = """
async query => {
  const field = document.querySelector("input[type=search]");
  const { rank } = await import("/lib/fuzzy.js");
  const { watchers } = await import("/lib/store.js");
  const { searchText } = await import("/parts/watchers/words.js");
  const began = performance.now();
  const found = rank(query, watchers.all(), searchText).length;
  const ranked = performance.now() - began;
  const drawn = new Promise(done => {  // the address says what is searched whenever the list is drawn
    const replace = history.replaceState;
    history.replaceState = (...words) => {
      history.replaceState = replace;
      history.replaceState(...words);
      requestAnimationFrame(() => done(performance.now()));
    };
  });
  field.value = query;
  field.dispatchEvent(new Event("input"));
  const typed = performance.now();
  return {found, ranked, drawn: await drawn - typed - 150};
}
"""
WATCH = """
() => {
  window.__long = []; window.__gap = 0; window.__frames = 0;
  new PerformanceObserver(list => list.getEntries().forEach(each => window.__long.push(Math.round(each.duration))))
    .observe({type: "longtask"});
  let last = performance.now();
  const frame = now => {
    window.__gap = Math.max(window.__gap, now - last);
    last = now;
    window.__frames++;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}
"""


async def fill(served: Served) -> list[Watcher]:
    """Let there be 500 jobs with 20 watchers each, and return them."""
    names = ("loss", "checkpoint", "gpu memory", "epoch", "nan", "eta", "validation", "warning", "retry", "io")
    for number in range(SPECS):
        served.house.write(
            f"{names[number % 10]} {number}", f"w{number}.yaml", pattern=rf"{names[number % 10]}: (?P<value>[\d.]+)",
            captures=["value"], labels={"team": "vision" if number % 2 else "nlp"}, interval_seconds=3600,
        )  # fmt: skip
    for number in range(JOBS):
        served.jobs.add(str(4000 + number), name=f"train-{number}")
    await served.look()
    await eventually(lambda: len(served.house.rows()) == WATCHERS, 300)
    return list(served.house.rows())


async def emit(served: Served, watchers: list[Watcher], seconds: float) -> int:
    """Commit events at RATE a second, a trigger and its action in turn."""
    counts: dict[int, int] = {}
    began, sent = time.monotonic(), 0
    while (now := time.monotonic()) < began + seconds:
        due = int((now - began) * RATE) - sent
        events = []
        for _ in range(max(0, due) // 2):
            watcher = random.choice(watchers)
            counts[watcher.id] = counts.get(watcher.id, 0) + 1
            events += _pair(watcher, counts[watcher.id])
        if events:
            sent += len(events)
            await served.engine.parts.state.run(_committing(tuple(events)))
            served.engine.daemon.tell()
        await asyncio.sleep(0.04)
    return sent


def _committing(events: tuple[Event, ...]) -> Any:
    def work(state: StateWriting) -> None:
        state.commit(Batch(events=events))

    return work


def _pair(watcher: Watcher, count: int) -> list[Event]:
    common: dict[str, Any] = {
        "at": time.time(), "subject": f"{watcher.name}/{watcher.job.id}@localhost", "watcher_id": watcher.id,
        "watcher": watcher.name, "job_id": watcher.job.id, "hostname": "localhost", "matched_text": "loss: 0.25",
        "captured_vars": {"value": "0.25"},
    }  # fmt: skip
    fired = Event(EventType.WATCHER_TRIGGERED, data={"trigger": "match", "trigger_count": count}, **common)
    acted = Event(EventType.ACTION_SUCCEEDED, action_type="log_event", action_result="saw loss: 0.25", **common)
    return [fired, acted]


async def ready(window: Window) -> None:
    for name, wanted in (("first cards", 1), (f"all {WATCHERS}", WATCHERS)):
        times = []
        for _ in range(5):
            await window.page.goto(f"{window.served.url}/")
            found = await window.page.wait_for_function(READY.replace("WANTED", str(wanted)))
            times.append(float(await found.json_value()))
        row(f"navigation to {name}", f"{sorted(times)[2]:.0f} ms", f"worst {max(times):.0f} ms")


async def searching(window: Window) -> None:
    for query in QUERIES:
        runs = [await window.page.evaluate(SEARCH, word) for word in (query, f"{query} ", query)]
        drawn = sorted(run["drawn"] for run in runs)
        more = f"worst {drawn[2]:.0f} ms, {runs[0]['found']} found, ranked in {min(r['ranked'] for r in runs):.0f} ms"
        row(f"search {query!r}", f"{drawn[1]:.0f} ms", more)
    await window.page.get_by_role("searchbox").fill("")


async def heap(session: CDPSession) -> float:
    """Return the MB that the page's programs hold."""
    await session.send("HeapProfiler.collectGarbage")
    metrics = await session.send("Performance.getMetrics")
    return float({each["name"]: each["value"] for each in metrics["metrics"]}["JSHeapUsedSize"]) / 1e6


async def raining(window: Window, watchers: list[Watcher], seconds: float) -> None:
    session = await window.page.context.new_cdp_session(window.page)
    await session.send("Performance.enable")
    await emit(window.served, watchers, 5)  # what is made once is made now
    before = await heap(session)
    await window.page.evaluate(WATCH)
    sent = await emit(window.served, watchers, seconds)
    long, gap, frames = await window.page.evaluate("() => [window.__long, window.__gap, window.__frames]")
    after = await heap(session)
    over = [each for each in long if each > 100]
    row(f"{sent} events in {seconds:.0f} s", f"{len(over)} runs over 100 ms", f"longest {max(long, default=0)} ms")
    row("frames", f"{frames / seconds:.0f} a second", f"longest gap {gap:.0f} ms")
    row("memory of the page", f"{before:.1f} -> {after:.1f} MB", "after collecting garbage")


def row(what: str, value: str, more: str) -> None:
    print(f"{what:32} {value:>24}   {more}", flush=True)


async def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as home:
        house = House(Path(home))
        house.scheduler = Jobs(house.outputs)
        async with serving(house) as served, browser() as running:
            watchers = await fill(served)
            async with window_on(served, running) as window:
                await window.sign_in()
                await ready(window)
                await searching(window)
                await raining(window, watchers, seconds)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))
