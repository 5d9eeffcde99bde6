"""`#WATCHER` lines in batch scripts: watchers of that job alone, where the operator allows them; read once."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts.house import House, Jobs, SteppedClock

from reconciler import app
from reconciler.errors import PermanentActionError, SchedulerUnavailableError
from reconciler.logic.selecting import plain_id
from reconciler.model import Job, WatcherState

ONE = '#!/bin/sh\n#SBATCH -n 1\n#WATCHER name="errors" pattern="ERROR (.*)" action=log_event(message="saw $1")\n'


class Scripted(Jobs):
    """Jobs with scripts; `asked` are the ids whose script was asked for."""

    def __init__(self, home: Path, clock: SteppedClock) -> None:
        super().__init__(home, clock)
        self.scripts: dict[str, str] = {}
        self.asked: list[str] = []

    def script_of(self, job_id: str, script: str, **fields: str) -> Path:
        self.scripts[plain_id(job_id)] = script
        return self.add(job_id, **fields)

    async def script(self, job: Job) -> bytes:
        self._answer()
        self.asked.append(job.id)
        if plain_id(job.id) not in self.scripts:
            raise PermanentActionError("the script is not known any more")
        return self.scripts[plain_id(job.id)].encode()


def made(home: Path, **policy: object) -> tuple[House, Scripted]:
    house = House(home, policy={"script_watchers": True, **policy})
    house.clock = SteppedClock()
    house.scheduler = jobs = Scripted(house.outputs, house.clock)
    house.write("always", pattern="never printed")
    return house, jobs


def live(house: House) -> list[str]:
    return sorted(f"{w.name}: {w.job.id}" for w in house.rows() if w.phase.live and w.name != "always")


async def test_a_watcher_in_a_script_is_bound_to_its_job_alone(tmp_path: Path) -> None:
    house, jobs = made(tmp_path)
    out = jobs.script_of("1", ONE)
    jobs.script_of("2", "#!/bin/sh\n")
    out.write_text("ERROR bad\n")
    report = await house.once()
    assert [int(code) for code in report.codes()] == [0]
    assert live(house) == ["errors (1@localhost): 1"]
    assert house.done("errors (1@localhost)") == ["saw bad"]
    row = house.row("errors (1@localhost)")
    origin = (row.origin.source, row.origin.file, row.origin.line)
    assert origin == ("script:localhost", "job-script:1@localhost", 3)


async def test_nothing_is_asked_for_where_it_is_switched_off(tmp_path: Path) -> None:
    house, jobs = made(tmp_path, script_watchers=False)
    jobs.script_of("1", ONE)
    await house.once()
    assert (live(house), jobs.asked) == ([], [])
    assert "script_watchers" not in house.written.get("policy", {}) or not house.settings.policy.script_watchers


async def test_a_script_is_asked_for_once_whatever_it_said_and_whoever_asks(tmp_path: Path) -> None:
    house, jobs = made(tmp_path)
    jobs.script_of("1", ONE)
    jobs.script_of("2", "#!/bin/sh\n")
    jobs.add("3")
    for _ in range(3):
        await house.once()
    assert sorted(jobs.asked) == ["1", "2", "3"]
    assert live(house) == ["errors (1@localhost): 1"]
    assert (await house.once()).applied == 0


@pytest.mark.parametrize("sign", ["_", "+"])
async def test_what_is_of_one_array_or_heterogeneous_job_shares_its_script(tmp_path: Path, sign: str) -> None:
    house, jobs = made(tmp_path)
    for number in range(2):
        jobs.script_of(f"7{sign}{number}", ONE)
    await house.once()
    jobs.script_of(f"7{sign}2", ONE)
    await house.once()
    assert live(house) == [f"errors (7@localhost): 7{sign}{number}" for number in range(3)]
    assert len(jobs.asked) == 1


async def test_scripts_of_others_are_not_read(tmp_path: Path) -> None:
    house, jobs = made(tmp_path, users=["*"])
    jobs.script_of("1", ONE, user="mallory")
    await house.once()
    assert (live(house), jobs.asked) == ([], [])


async def test_an_ended_job_completes_its_watcher_and_its_spec_goes_without_a_word(tmp_path: Path) -> None:
    house, jobs = made(tmp_path)
    out = jobs.script_of("1", ONE)
    await house.once()
    out.write_text("ERROR last\n")
    jobs.finish()
    await house.once()
    report = await house.once()
    assert [int(code) for code in report.codes()] == [0]
    assert house.done("errors (1@localhost)") == ["saw last"]
    assert house.row("errors (1@localhost)").state is WatcherState.COMPLETED
    assert house.events("watcher.stopped") == ()
    with house.state() as state:
        assert [str(spec.name) for spec in state.specs()] == ["always"]


async def test_a_scheduler_that_does_not_answer_changes_nothing(tmp_path: Path) -> None:
    house, jobs = made(tmp_path)
    jobs.script_of("1", ONE)
    await house.once()
    jobs.failing = SchedulerUnavailableError("no answer")
    await house.once()
    assert live(house) == ["errors (1@localhost): 1"]
    jobs.failing = None
    jobs.script_of("2", ONE)
    await house.once()
    assert live(house) == ["errors (1@localhost): 1", "errors (2@localhost): 2"]
    assert house.events("watcher.stopped") == ()


async def test_what_is_wrong_in_a_script_is_told_once_and_harms_nothing_else(tmp_path: Path) -> None:
    house, jobs = made(tmp_path)
    jobs.script_of("1", ONE + '#WATCHER pattern="("\n#WATCHER pattern=x interval=soon\n#WATCHER_BEGIN\n')
    jobs.script_of("2", ONE)
    for _ in range(3):
        report = await house.once()
        assert [int(code) for code in report.codes()] == [0]
    assert live(house) == ["errors (1@localhost): 1", "errors (2@localhost): 2"]
    (event,) = house.events("source.rejected")
    assert (event.subject, event.job_id, event.success) == ("job-script:1@localhost", "1", False)
    for line in ("line 4:", "line 5:", "line 6:"):
        assert line in event.action_result


async def test_the_policy_for_scripts_holds(tmp_path: Path) -> None:
    house, jobs = made(tmp_path, actions={"script": ["log_event"]})
    out = jobs.script_of("1", ONE.replace("log_event(message", "cancel_job(reason"))
    out.write_text("ERROR x\n")
    await house.once()
    assert jobs.cancelled == []
    (refused,) = house.events("action.refused")
    assert "script" in refused.action_result


async def test_switched_off_later_they_stop_at_once(tmp_path: Path) -> None:
    house, jobs = made(tmp_path)
    jobs.script_of("1", ONE)
    await house.once()
    later, _ = made(tmp_path, script_watchers=False)
    later.scheduler = jobs
    report = await later.once()
    assert [int(code) for code in report.codes()] == [0]
    assert live(later) == []


async def test_a_pass_that_reads_no_source_leaves_them_alone(tmp_path: Path) -> None:
    house, jobs = made(tmp_path)
    jobs.script_of("1", ONE)
    await house.once()
    async with app.engine(house.settings, None) as engine:
        await engine.controller.pass_(list_jobs=False)
    assert live(house) == ["errors (1@localhost): 1"]


async def test_a_plan_shows_them_and_keeps_none(tmp_path: Path) -> None:
    house, jobs = made(tmp_path)
    jobs.script_of("1", ONE)
    async with house.engine() as engine:
        plan = await engine.controller.preview()
    assert {str(change.name) for change in plan.pending} == {"always", "errors (1@localhost)"}
    assert house.rows() == ()


async def test_an_id_that_was_given_again_means_another_script(tmp_path: Path) -> None:
    house, jobs = made(tmp_path)
    jobs.script_of("1", ONE)
    await house.once()
    jobs.finish()
    await house.once()
    assert house.clock is not None
    house.clock.at += 5000
    jobs.script_of("1", ONE.replace("errors", "others"))
    await house.once()
    assert live(house) == ["others (1@localhost): 1"]


@pytest.mark.parametrize("script", ["", "#WATCHER ", "#WATCHER_END\n", "\0\xff#WATCHER\n"])
async def test_odd_scripts_are_no_harm(script: str, tmp_path: Path) -> None:
    house, jobs = made(tmp_path)
    jobs.script_of("1", script)
    report = await house.once()
    assert [int(code) for code in report.codes()] == [0]
    assert live(house) == []


async def test_a_real_local_job_brings_its_watcher(tmp_path: Path) -> None:
    house = House(tmp_path, policy={"script_watchers": True})
    house.write("always", pattern="never printed")
    job_id = await house.submit('#WATCHER name="mine" pattern="hit \\d" action=log\necho hit 1')
    await house.once()
    name = f"mine ({job_id}@localhost)"
    assert house.done(name) == ["hit 1"]
    await house.once()
    assert house.row(name).state is WatcherState.COMPLETED
