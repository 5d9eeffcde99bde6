"""Many watchers acted on by one request: one pass for all of them, and what became of each told one by one."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from parts.served import Served
from parts.waiting import eventually

from reconciler.api.desk import Desk
from reconciler.api.keys import Scope
from reconciler.engine import dropins


@pytest.fixture
async def job(served: Served) -> Served:
    """A served house with the running jobs 1 and 2."""
    for job_id in ("1", "2"):
        served.jobs.add(job_id)
    await served.look()
    return served


def folder(served: Served) -> Path:
    """The writable layer."""
    return served.house.home / "api.d"


def counted(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Return what gets one item for each pass that a request asks for."""
    look, passes = served.engine.daemon.look_again, list[None]()

    async def look_again(**how: Any) -> object:
        passes.append(None)
        return await look(**how)

    monkeypatch.setattr(served.engine.daemon, "look_again", look_again)
    return passes


async def written(served: Served, texts: dict[str, str]) -> dict[str, int]:
    """Put these files into the writable layer; return the ids of their watchers, by name."""
    folder(served).mkdir(exist_ok=True)
    for file, text in texts.items():
        (folder(served) / file).write_text(text)
    names = [line.removeprefix("name: ") for text in texts.values() for line in text.splitlines() if "name: " in line]
    await eventually(lambda: {row.name for row in served.house.rows()} >= {*names})
    return {row.name: row.id for row in served.house.rows()}


def text_of(name: str, more: str = "jobs: {ids: ['1']}") -> str:
    return f"name: {name}\n{more}\npattern: hit\nactions: [{{type: log_event, params: {{message: x}}}}]\n"


async def deleted(served: Served, ids: list[int]) -> dict[int, tuple[bool, str]]:
    answer = await served.http.post("/api/watchers/bulk", json={"action": "delete", "ids": ids}, timeout=120)
    assert answer.status_code == 200, answer.text
    return {result["id"]: (result["success"], result["message"]) for result in answer.json()["results"]}


async def test_a_thousand_deletions_make_one_pass(job: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"w{number}" for number in range(1000)]
    ids = await written(job, {f"{name}.yaml": text_of(name) for name in names})
    passes = counted(job, monkeypatch)
    done = await deleted(job, list(ids.values()))
    assert (set(done.values()), len(done), len(passes)) == ({(True, "the watcher is deleted")}, 1000, 1)
    assert {row.phase for row in job.house.rows()} == {"stopped"}
    assert sorted(event.subject for event in job.house.events("api.written")) == sorted(names)


@pytest.mark.parametrize("action", ["pause", "resume", "trigger"])
async def test_what_is_done_by_hand_to_many_is_one_request_and_no_pass(
    job: Served, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = list((await written(job, {f"w{number}.yaml": text_of(f"w{number}") for number in range(20)})).values())
    passes, turns, carry_out = counted(job, monkeypatch), list[None](), job.engine.daemon.carry_out

    async def counting() -> None:
        turns.append(None)
        await carry_out()

    monkeypatch.setattr(job.engine.daemon, "carry_out", counting)
    done = await job.post("/api/watchers/bulk", {"action": action, "ids": ids})
    assert (len(done["results"]), len(passes), len(turns)) == (20, 0, 1)


async def test_each_of_many_is_told_by_itself_and_what_stays_holds_up_no_other(
    job: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.house.write("theirs")
    mixed = "---\n".join([text_of("a"), text_of("b", "prune: disabled"), text_of("c"), "# kept\n" + text_of("d")])
    ids = await written(
        job,
        {
            "alone.yaml": text_of("alone"), "mixed.yaml": mixed,
            "pair.yaml": "---\n".join([text_of("e"), text_of("f")]),
            "wide.yaml": text_of("wide", "jobs: {ids: ['1', '2']}"), "all.yaml": text_of("all", "labels: {}"),
        },
    )  # fmt: skip
    await eventually(lambda: {len(job.house.rows(name)) for name in ("wide", "all", "theirs")} == {2})
    wide, both = ([row.id for row in job.house.rows(name)] for name in ("wide", "all"))
    asked = [*(ids[name] for name in ("alone", "a", "b", "c", "e", "f")), wide[0], *both, 999]
    asked.append(next(row.id for row in job.house.rows("theirs") if row.job.id == "1"))
    passes = counted(job, monkeypatch)
    done = await deleted(job, [*asked, ids["alone"]])
    good, other = (True, "the watcher is deleted"), (True, "it went with another one")
    assert [done[ids[name]] for name in ("alone", "a", "c", "e", "f")] == [good] * 5
    assert [done[each] for each in both] == [good, other]
    refused = {ids["b"]: "prune: disabled", wide[0]: "2 watchers", 999: "no such watcher", asked[-1]: "may not write"}
    for watcher_id, why in refused.items():
        assert not done[watcher_id][0]
        assert why in done[watcher_id][1]
    assert len(done) == len(asked)
    assert len(passes) == 1
    assert {path.name for path in folder(job).glob("*.yaml")} == {"mixed-rest.yaml", "wide.yaml"}
    rest = (folder(job) / "mixed-rest.yaml").read_text()
    assert [name for name in "abcd" if f"name: {name}\n" in rest] == ["b", "d"]
    assert "# kept" in rest
    live = {row.name for row in job.house.rows() if row.phase.live}
    assert live == {"b", "d", "wide", "theirs"}
    told = {event.subject: event.data["ids"] for event in job.house.events("api.written")}
    assert told == {**{name: [ids[name]] for name in ("alone", "a", "c", "e", "f")}, "all": both[::-1]}


async def test_a_file_that_cannot_be_taken_away_holds_up_no_other(job: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await written(job, {f"{name}.yaml": text_of(name) for name in "abc"})
    replace = os.replace

    def full(old: Path, new: Path) -> None:
        if Path(old).name == "b.yaml":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(old, new)

    monkeypatch.setattr(os, "replace", full)
    done = await deleted(job, [ids[name] for name in "abc"])
    assert [done[ids[name]][0] for name in "abc"] == [True, False, True]
    assert "No space left on device" in done[ids["b"]][1]
    assert [row.phase.live for row in job.house.rows()] == [False, True, False]
    assert [event.subject for event in job.house.events("api.written")] == ["a", "c"]


async def test_an_old_file_is_deleted_at_once_though_very_many_newer_copies_are_kept(
    job: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropins, "MOST_COPIES", 1)
    ids = await written(job, {"old.yaml": text_of("old"), "new.yaml": text_of("new")})
    os.utime(folder(job) / "old.yaml", (1000, 1000))
    for name in ("new", "old"):
        gone = (await job.http.delete(f"/api/watchers/{ids[name]}")).json()
        assert (gone["success"], job.house.row(name).phase) == (True, "stopped")


async def test_one_that_somebody_else_deletes_meanwhile_is_told_too(
    job: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await written(job, {f"{name}.yaml": text_of(name) for name in "ab"})
    look, started, turns = job.engine.daemon.look_again, Desk.started, [asyncio.Event(), asyncio.Event()]
    go_on = asyncio.Event()

    def noted(self: Desk) -> object:
        next(turn for turn in turns if not turn.is_set()).set()
        return started(self)

    async def late() -> object:
        await go_on.wait()
        return await look()

    monkeypatch.setattr(Desk, "started", noted)
    monkeypatch.setattr(job.engine.daemon, "look_again", late)
    first = asyncio.create_task(job.http.delete(f"/api/watchers/{ids['a']}"))
    await turns[0].wait()
    second = asyncio.create_task(deleted(job, [ids["a"], ids["b"]]))
    await turns[1].wait()
    go_on.set()
    assert (await first).status_code == 200
    assert await second == {ids["a"]: (False, "there is no such watcher"), ids["b"]: (True, "the watcher is deleted")}


async def test_a_key_that_may_not_trigger_one_triggers_the_others(job: Served) -> None:
    strong = text_of("b").replace("log_event, params: {message", "cancel_job, params: {reason")
    ids = await written(job, {"a.yaml": text_of("a"), "b.yaml": strong})
    _, token = job.keyring.create("bot", Scope.WRITE, 0.0, actions=("log_event",))
    async with job.client(token) as bot:
        done = (await bot.post("/api/watchers/bulk", json={"action": "trigger", "ids": [ids["b"], ids["a"]]})).json()
    assert [result["success"] for result in done["results"]] == [False, True]
    assert "may not use cancel_job" in done["results"][0]["message"]
    assert job.jobs.cancelled == []
