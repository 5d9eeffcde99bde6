"""The plan over HTTP says what the commands say: changes with fields, drift, bad files with their lines, sources."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from parts.house import House, Jobs
from parts.served import Served, serving
from parts.waiting import eventually

from reconciler.api.routes_plan import drift_of, excerpt_of
from reconciler.logic.plan import Change, ChangeKind
from reconciler.model import Hold, HoldKind

CANCEL = {"type": "cancel_job"}
#: Who holds a watcher, and until when.
HELD = {"ada": None, "grace": 100.5, "alan": 100.0, "edsger": 1.0}


async def test_drift_bad_files_and_what_was_applied_are_told(served: Served) -> None:
    house = served.house
    served.jobs.add("1")
    await served.look()
    house.write("good")
    await eventually(lambda: house.rows("good"))
    (source,) = [each for each in (await served.get("/api/plan"))["sources"] if each["watchers"]]
    assert (source["files"], source["bad_files"], source["applied"]["revision"]) == (1, 0, source["revision"])
    assert source["applied"]["changes"] == 1
    bad = house.watchers / "bad.yaml"
    bad.write_text("name: bad\npattern: (unclosed\nactions:\n  - type: log_evnt\n")
    house._settle(bad)
    await served.http.post(f"/api/watchers/{house.row('good').id}/pause", json={"reason": "looking at it"})

    async def plan() -> Any:
        found = await served.get("/api/plan")
        bad = sum(each["bad_files"] for each in found["sources"])
        return found if found["problems"] and found["drift"] and bad else None

    told = await eventually(plan)
    assert [(d["watcher"], d["job_id"], d["reason"]) for d in told["drift"]] == [("good", "1", "looking at it")]
    problem = next(p for p in told["problems"] if "log_evnt" in p["excerpt"])
    assert (problem["file"], problem["line"], problem["severity"]) == (str(bad), 4, "error")
    assert problem["excerpt"][problem["excerpt_column"] - 1 :].startswith("log_evnt")
    assert problem["remedy"]
    (after,) = [each for each in told["sources"] if each["files"]]
    assert (after["bad_files"], after["applied"]) == (1, source["applied"])
    shown = json.loads(house.run("drift", "-o", "json").stdout)["drift"]
    assert [(row["watcher"], row["by"], row["reason"]) for row in shown] == [
        (d["watcher"], d["by"], d["reason"]) for d in told["drift"]
    ]


async def test_a_hold_that_has_run_out_is_no_drift(house: House) -> None:
    house.write("w")
    house.scheduler = Jobs(house.outputs)
    house.scheduler.add("1")
    await house.once()
    watcher = house.row("w")
    held = replace(watcher, holds=tuple(Hold(HoldKind.MANUAL, by, until=until) for by, until in HELD.items()))
    change = Change(ChangeKind.NO_OP, held.name, held.job, held.job_name, "", held.origin, held)
    assert [drift.by for drift in drift_of(change, 100.0)] == ["ada", "grace"]


async def test_an_edit_that_waits_for_a_yes_says_which_fields_it_changes(tmp_path: Path) -> None:
    house = House(tmp_path, policy={"max_new_bindings": 1})
    house.scheduler = Jobs(house.outputs)
    house.scheduler.add("1")
    house.scheduler.add("2")
    house.write("w", pattern="lost")
    async with serving(house) as served:
        await eventually(lambda: len(house.rows("w")) == 2)
        house.write("w", pattern="gone", actions=[CANCEL])
        plan = await eventually(lambda: _pending(served))
        summary = await eventually(lambda: _waiting(served))
        assert summary == {"declared": 1, "invalid_files": 0, "waiting": 2, "alarms": 0}
    assert plan["summary"] == {"update": 2}
    first = plan["changes"][0]
    assert (first["change"], first["watcher_id"] in {row.id for row in house.rows("w")}) == ("update", True)
    fields = {field["path"]: (field["old"], field["new"]) for field in first["fields"]}
    assert fields["pattern"] == ("lost", "gone")
    assert fields["actions[0].type"] == ("log_event", "cancel_job")
    assert first["withheld"]


async def _waiting(served: Served) -> Any:
    summary = await served.get("/api/plan/summary")
    return summary if summary["waiting"] else None


async def _pending(served: Served) -> Any:
    plan = await served.get("/api/plan")
    return plan if plan["changes"] else None


def test_a_line_is_shown_with_its_place_and_a_long_one_around_it() -> None:
    content = "a: 1\r\nb: \u00fc\n".encode() + b"x" * 1000 + b"!" + b"y" * 1000
    assert excerpt_of(content, 1, 4) == ("a: 1", 4)
    assert excerpt_of(content, 2, 0) == ("b: \u00fc", 0)
    text, column = excerpt_of(content, 3, 1001)
    assert (text[column - 1], len(text)) == ("!", 200)
    for line in (0, 5):
        assert excerpt_of(content, line, 1) == ("", 0)
    assert excerpt_of(None, 1, 1) == ("", 0)
    assert excerpt_of(b"\xff", 1, 1) == ("\ufffd", 1)
