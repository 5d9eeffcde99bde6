"""SLURM's words for times, limits, states and paths are read as its manual pages say."""

from __future__ import annotations

import json
import time
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from reconciler.model import JobId, JobState
from reconciler.schedulers.slurm_paths import PathFacts, expand, needs_node
from reconciler.schedulers.slurm_states import job_state
from reconciler.schedulers.slurm_times import epoch, limit_seconds, zone

KNOWN = json.loads((Path(__file__).parent / "fixtures" / "jobs_23_02_to_25_11.json").read_text())
PLACE: dict[str, Any] = {"workdir": "/w d", "name": "n%j", "user": "me", "node": "vm"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 300),
        ("0", 0),
        ("5:30", 330),
        ("1:00", 60),
        ("1:02:03", 3723),
        ("1-02", 93600),
        ("1-02:03", 93780),
        ("1-02:03:04", 93784),
        ("365-00:00:00", 31536000),
        (" 10 ", 600),
        ("UNLIMITED", None),
        ("INVALID", None),
        ("NOT_SET", None),
        ("Partition_Limit", None),
        ("", None),
        ("-1", None),
        ("1-", None),
        ("1:2:3:4", None),
        ("٣", None),
    ],
)
def test_time_limits(text: str, seconds: float | None) -> None:
    assert limit_seconds(text) == seconds


@pytest.mark.parametrize("text", ["N/A", "NONE", "Unknown", "", "(null)", "0", "yesterday", "9" * 400])
def test_what_is_no_time_is_none(text: str) -> None:
    assert epoch(text) is None


def test_times_are_seconds_or_local_time() -> None:
    assert epoch("1795506948") == 1795506948.0
    assert epoch("2026-03-10T16:26:12") is not None
    assert epoch("2026-03-10T16:26:13") == (epoch("2026-03-10T16:26:12") or 0) + 1


@pytest.mark.parametrize(
    ("offset", "seconds"),
    [("+0000", 0), ("-0930", 34200), ("+1345", -49500), ("", None), ("UTC", None), ("+00000", None)],
)
def test_times_are_of_the_zone_that_is_told(offset: str, seconds: float | None) -> None:
    if seconds is None:
        assert zone(offset) is None
        return
    assert epoch("1970-01-03T00:00:00", zone(offset) or UTC) == 172800.0 + seconds
    for whole in ("172800", "1970-01-03T02:00:00+0200"):  # these tell all by themselves
        assert epoch(whole, zone(offset)) == 172800.0


def test_the_zone_of_this_machine_keeps_its_summer_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Zurich")
    time.tzset()
    try:
        here = zone(time.strftime("%z"))
        assert here is None
        summer, winter = epoch("2026-07-01T12:00:00", here), epoch("2026-01-01T12:00:00", here)
        assert (summer, winter) == (1782900000.0, 1767265200.0)
    finally:
        monkeypatch.undo()
        time.tzset()


MEANINGS = {
    JobState.PENDING: (
        "PENDING CONFIGURING POWER_UP_NODE REQUEUED REQUEUE_FED REQUEUE_HOLD SPECIAL_EXIT RESV_DEL_HOLD EXPEDITING"
    ),
    JobState.RUNNING: "RUNNING COMPLETING STOPPED SIGNALING STAGE_OUT RESIZING UPDATE_DB",
    JobState.SUSPENDED: "SUSPENDED",
    JobState.COMPLETED: "COMPLETED",
    JobState.FAILED: "FAILED OUT_OF_MEMORY NODE_FAIL BOOT_FAIL LAUNCH_FAILED RECONFIG_FAIL",
    JobState.TIMEOUT: "TIMEOUT DEADLINE",
    JobState.CANCELLED: "CANCELLED PREEMPTED REVOKED",
}


@pytest.mark.parametrize(("word", "state"), [(w, state) for state, words in MEANINGS.items() for w in words.split()])
def test_states_are_mapped_as_documented(word: str, state: JobState) -> None:
    assert job_state(word) is state
    assert job_state([word]) is state


def test_states_with_more_words() -> None:
    assert job_state("CANCELLED by 1001") is JobState.CANCELLED
    assert job_state("CANCELLED+") is JobState.CANCELLED
    assert job_state(["COMPLETED", "COMPLETING"]) is JobState.RUNNING
    assert job_state(["RUNNING", "CONFIGURING"]) is JobState.PENDING
    assert job_state(["RUNNING", "POWER_UP_NODE"]) is JobState.PENDING
    assert job_state(["CANCELLED", "REQUEUED"]) is JobState.PENDING
    assert job_state(["FAILED", "EXPEDITING"]) is JobState.PENDING
    assert job_state(["PENDING", "REVOKED"]) is job_state("REVOKED")
    assert job_state(["PENDING", "UPDATE_DB"]) is JobState.PENDING


@pytest.mark.parametrize("words", ["", "SOMETHING_NEW", [], ["SOMETHING_NEW"]])
def test_a_state_that_nobody_knows_ends_no_job(words: str | list[str]) -> None:
    assert not job_state(words).ended


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("slurm-%j.out", "/w d/slurm-10.out"),
        ("%A_%a.out", "/w d/4_1.out"),
        ("/abs/%x-%u-%N", "/abs/n%j-me-vm"),
        ("%4a|%10j|%2A|%0j|%012j", "/w d/0001|0000000010|04|10|0000000010"),
        ("%t %n %s %J", "/w d/0 0 batch 10"),
        ("100%%j-%%-%", "/w d/100%j-%-%"),
        ("%q %5q %b", "/w d/%q 5q %b"),
        # What SLURM 22.05 named the files of jobs with these patterns.
        ("cc-%5%-y", "/w d/cc-5%-y"),
        ("%5%%5%.o", "/w d/5%5%.o"),
        ("%10%x-%10q-%100", "/w d/0n%j-0q-0"),
        ("%123%j-%5%5j-%%5%j", "/w d/310-500010-%510"),
        ("%05%x-%5N-%10%%5%10q%0x", "/w d/5n%j-vm-0%50qn%j"),
        ("%12345678901234567890123j-%00000000003j", "/w d/0000000010-010"),
        (f"%{'9' * 5000}j", "/w d/0000000010"),
        ("lit\\%j", "/w d/lit%j"),
        ("a\\\\%j", "/w d/a\\%j"),
        ("..//x%%", "/w d/..//x%"),
        ("é%jé\udcff", "/w d/é10é\udcff"),
        ("%x\n%x", "/w d/n%j\nn%j"),
    ],
)
def test_patterns_expand_as_slurm_expands_them(pattern: str, path: str) -> None:
    assert expand(pattern, PathFacts(JobId("4_1"), number="10", **PLACE)) == path


@pytest.mark.parametrize(
    ("pattern", "needs"),
    [("%N", True), ("%5N", True), ("%5%N", True), ("%%%N", True), ("%%N", False), ("%5%%N", False), ("\\%N", False)],
)
def test_a_pattern_that_means_the_node_needs_one(pattern: str, needs: bool) -> None:
    assert needs_node(pattern) is needs


def test_outside_an_array_the_master_is_the_job_and_the_index_is_slurms_own_nothing() -> None:
    assert expand("%A-%a-%j", PathFacts(JobId("7"), number="7", **PLACE)) == "/w d/7-4294967294-7"
    assert expand("%A-%j", PathFacts(JobId("7+1"), number="8", **PLACE)) == "/w d/8-8"


@pytest.mark.parametrize(
    "known", [job for job in KNOWN if job["expanded"]], ids=lambda job: f"{job['slurm']}-{job['file']}"
)
def test_real_clusters_expanded_the_same_paths(known: dict[str, Any]) -> None:
    facts = PathFacts(
        JobId(known["job_id"]), known["name"], node=known["node"], workdir=known["workdir"], number=known["job_id"]
    )
    assert expand(known["pattern"] or "slurm-%j.out", facts) == known["expanded"]


@pytest.mark.parametrize("known", KNOWN, ids=lambda job: f"{job['slurm']}-{job['file']}")
def test_states_of_real_clusters_mean_what_they_say(known: dict[str, Any]) -> None:
    words = known["state"] if isinstance(known["state"], list) else [known["state"]]
    assert job_state(known["state"]).value == words[0].lower()
