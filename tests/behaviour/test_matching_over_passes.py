"""What a line leaves, however it was written and however the passes fell: variables, conditions, bytes, streams."""

from __future__ import annotations

from typing import Any

import pytest
from parts.core import LOG, STORE
from parts.house import House, Jobs

from reconciler.model import JobState, WatcherState

LOSS: dict[str, Any] = {"pattern": r"Loss: ([0-9.]+), Step: (\d+)", "captures": ["loss", "step"]}
NUMBER: dict[str, Any] = {"pattern": r"n=\d+"}


@pytest.fixture
def house(house_anywhere: House) -> House:
    return house_anywhere


@pytest.fixture
def jobs(house: House) -> Jobs:
    return house.with_jobs()


async def test_captures_become_variables_by_name_and_number(house: House, jobs: Jobs) -> None:
    house.write(
        **LOSS, actions=[{"type": "log_event", "params": {"message": "$0|$loss|${step}|$1|$2|${_matched_text}"}}]
    )
    jobs.add().write_text("Loss: 5.73, Step: 1200\n")
    await house.once()
    assert house.row().variables == {"loss": "5.73", "step": "1200", "1": "5.73", "2": "1200"}
    assert house.done() == ["Loss: 5.73, Step: 1200|5.73|1200|5.73|1200|Loss: 5.73, Step: 1200"]


async def test_every_variable_is_replaced_for_itself_and_never_read_again(house: House, jobs: Jobs) -> None:
    message = "$loss $loss_total $1 $12 $$5 $FOO ${JOB_ID}@$HOSTNAME $WATCHER ${nothing:-none} $word"
    house.write(
        pattern=r"(\d) (\d+) (\S+)", captures=["loss", "loss_total", "word"],
        actions=[{"type": "log_event", "params": {"message": message}}],
    )  # fmt: skip
    jobs.add("77").write_text("7 70 ${JOB_ID}$loss\n")
    await house.once()
    assert house.done() == ["7 70 7 $12 $5 $FOO 77@localhost w none ${JOB_ID}$loss"]


async def test_a_condition_decides_and_one_that_cannot_be_told_is_said(house: House, jobs: Jobs) -> None:
    house.write(pattern="loss=(.+)", captures=["loss"], condition="float(loss) > 5")
    out = jobs.add()
    out.write_text("loss=4.9\nloss=n/a\nloss=??\nloss=5.73\n")
    report = await house.once()
    assert house.matched() == ["loss=5.73"]
    (failed,) = house.events("condition.failed")
    assert failed.data["count"] == 2
    assert house.row().last_error.startswith("condition: ")
    assert [int(code) for code in report.codes()] == [0]
    assert "condition" in house.run("status").stdout


async def test_a_condition_that_stays_untold_is_told_once_until_an_edit(house: House, jobs: Jobs) -> None:
    fields: dict[str, Any] = {"pattern": "loss=(.+)", "captures": ["loss"]}
    house.write(**fields, condition="float(loss) > 5")
    out = jobs.add()
    for number in range(4):
        with out.open("a") as file:
            file.write(f"loss=n/a {number}\n")
        await house.once()
    assert len(house.events("condition.failed")) == 1
    assert house.row().memory.condition_failures == 4
    house.write(**fields, condition="float(loss) > 6")
    await house.once()
    assert house.row().last_error == ""
    with out.open("a") as file:
        file.write("loss=n/a again\n")
    await house.once()
    assert [event.data["total"] for event in house.events("condition.failed")] == [1, 1]
    assert house.row().last_error.startswith("condition: ")


@pytest.mark.parametrize("cut", [1, 6, 9, 11, 12])
async def test_a_line_that_comes_in_two_flushes_is_one_match_with_the_whole_value(
    house: House, jobs: Jobs, cut: int
) -> None:
    house.write(pattern=r"Größe: (\d+)", captures=["size"])
    out = jobs.add()
    whole = "Größe: 12345\n".encode()
    out.write_bytes(whole[:cut])
    await house.once()
    out.write_bytes(whole)
    await house.once()
    assert house.matched() == ["Größe: 12345"]
    assert house.row().variables["size"] == "12345"


async def test_bytes_that_are_no_utf_8_hide_nothing_and_replay_nothing(house: House, jobs: Jobs) -> None:
    house.write(**NUMBER)
    out = jobs.add()
    out.write_bytes(b"\xff\xfe\x80 n=1\nn=2 \xc3\n")
    await house.once()
    with out.open("ab") as file:
        file.write(b"n=3\n")
    await house.once()
    await house.once()
    assert house.matched() == ["n=1", "n=2", "n=3"]
    assert house.row().checkpoints["stdout"].offset == out.stat().st_size  # type: ignore[index]
    assert [event.data["offset"] for event in house.events("watcher.triggered")] == [4, 8, 14]


async def test_an_anchored_pattern_meets_every_redraw_of_a_progress_bar(house: House, jobs: Jobs) -> None:
    house.write(pattern=r"^(\d+)%$")
    out = jobs.add()
    out.write_bytes(b"10%\r20%\r")
    await house.once()
    with out.open("ab") as file:
        file.write(b"\n30%\r4")  # what ended with the look was the first half of an end of line
    await house.once()
    with out.open("ab") as file:
        file.write(b"0%\r\n50%\n")
    await house.once()
    assert house.matched() == ["10%", "20%", "30%", "40%", "50%"]


async def test_a_line_of_ten_megabytes_is_cut_and_told_and_the_lines_after_it_are_met(house: House, jobs: Jobs) -> None:
    house.write(pattern=r"end|tail")
    out = jobs.add()
    out.write_bytes(b"n" * 10_000_000)
    await house.once()
    with out.open("ab") as file:
        file.write(b" tail\nend\n")
    await house.once()
    assert house.matched() == ["end"]
    (told,) = house.events("stream.line_cut")
    assert told.data["offset"] == 0


async def test_lines_that_go_on_alike_match_again_over_passes_and_no_line_twice(house: House, jobs: Jobs) -> None:
    house.write(pattern=r"(?:loss: nan\n){2}loss: nan", multiline=5)
    out = jobs.add()
    for number in range(1, 11):
        out.write_text("loss: nan\n" * number)
        await house.once()
    assert [event.data["line"] for event in house.events("watcher.triggered")] == [3, 6, 9]


async def test_a_group_that_took_no_part_is_empty_text_and_none(house: House, jobs: Jobs) -> None:
    message = {"type": "log_event", "params": {"message": "[$unit]"}}
    house.write(pattern=r"(\d+)(ms)?!", captures=["n", "unit"], condition="unit is None", actions=[message])
    jobs.add().write_text("5!\n6ms!\n")
    await house.once()
    assert house.done() == ["[]"]


async def test_a_burst_of_many_megabytes_before_the_end_of_the_job_is_read_to_its_last_byte(
    house: House, jobs: Jobs
) -> None:
    house.write(pattern=r"marker \d+")
    out = jobs.add()
    filler = b"x" * 99 + b"\n"
    with out.open("wb") as file:
        for number in range(50):
            file.write(filler * 10_486 + b"marker %d\n" % number)
        file.write(b"marker 50")
    assert out.stat().st_size > 50 * 1024 * 1024
    jobs.finish()
    await house.once()
    assert house.matched() == [f"marker {number}" for number in range(51)]
    assert house.row().state is WatcherState.COMPLETED


async def test_each_watcher_reads_the_output_that_it_asked_for(house: House, jobs: Jobs) -> None:
    for kind in ("stdout", "stderr", "both"):
        house.write(kind, **NUMBER, output_type=kind)
    err = house.outputs / "err"
    jobs.add(stderr=str(err)).write_text("n=1\nn=2\n")
    err.write_text("n=10\n")
    await house.once()
    assert house.matched("stdout") == ["n=1", "n=2"]
    assert house.matched("stderr") == ["n=10"]
    assert house.matched("both") == ["n=1", "n=2", "n=10"]


async def test_where_both_outputs_are_one_file_each_line_counts_once(house: House, jobs: Jobs) -> None:
    for kind in ("stdout", "stderr", "both"):
        house.write(kind, **NUMBER, output_type=kind)
    jobs.add().write_text("n=1\nn=2\n")
    await house.once()
    assert {kind: house.matched(kind) for kind in ("stdout", "stderr", "both")} == {
        "stdout": ["n=1", "n=2"], "stderr": ["n=1", "n=2"], "both": ["n=1", "n=2"],
    }  # fmt: skip


async def test_every_value_of_a_metric_is_kept_with_its_time(house: House, jobs: Jobs) -> None:
    house.write(pattern=r"loss=(\S+) step=(\d+)", captures=["loss", "step"], actions=[
        {"type": "store_metric", "params": {"name": "loss", "value": "$loss", "step": "$step"}},
        {"type": "store_metric", "params": {"name": "copy", "value": "$loss"}},
    ])  # fmt: skip
    out = jobs.add()
    times = []
    with out.open("a") as file:
        for number, value in enumerate(("0.5", "0.25", "0.125")):
            file.write(f"loss={value} step={number}\n")
            file.flush()
            assert house.clock is not None
            house.clock.at += 60
            times.append(house.clock.at)
            await house.once()
    points = house.metrics(name="loss")
    assert [(point.value, point.step, point.at) for point in points] == [
        (0.5, 0.0, times[0]), (0.25, 1.0, times[1]), (0.125, 2.0, times[2]),
    ]  # fmt: skip
    assert house.row().variables["copy"] == "0.125"
    assert "0.125" in house.run("metrics", "1", "-o", "json").stdout


async def test_text_that_is_no_number_fails_the_metric_alone(house: House, jobs: Jobs) -> None:
    house.write(pattern=r"loss=(\S+)", captures=["loss"], actions=[STORE, LOG])
    jobs.add().write_text("loss=nan\nloss=1\n")
    report = await house.once()
    assert [point.value for point in house.metrics()] == [1.0]
    assert len(house.events("action.failed")) == 1
    assert 7 in report.codes()


async def test_an_observing_watcher_does_everything_but_act(house: House, jobs: Jobs) -> None:
    house.write(mode="observe", pattern=r"loss=(\S+)", captures=["loss"], actions=[
        STORE, {"type": "cancel_job", "params": {"reason": "loss is $loss"}},
    ])  # fmt: skip
    jobs.add().write_text("loss=5\n")
    report = await house.once()
    assert [point.value for point in house.metrics()] == [5.0]
    assert house.row().variables["loss"] == "5"
    (would,) = house.events("action.would_run")
    assert "loss is 5" in would.action_result
    assert (would.action_type, would.success) == ("cancel_job", True)
    assert jobs.cancelled == []
    assert [int(code) for code in report.codes()] == [0]


async def test_cancelled_jobs_count_as_an_end_only_where_they_are_listed(house: House, jobs: Jobs) -> None:
    house.write("default", pattern=None, trigger_on_job_end=True)
    house.write("listed", pattern=None, trigger_on_job_end=True, trigger_job_states=["cancelled"])
    jobs.add().write_text("")
    await house.once()
    jobs.finish(state=JobState.CANCELLED)
    await house.once()
    assert [event.watcher for event in house.events("watcher.triggered")] == ["listed"]


# --- silence and sets over passes ------------------------------------------------------------------------------------


def triggers(house: House, watcher: str = "w") -> list[str]:
    """What made the triggers of a watcher."""
    return [str(event.data["trigger"]) for event in house.events("watcher.triggered", watcher=watcher)]


@pytest.mark.parametrize("begun", ["", "Epoch 5:  45%"])
@pytest.mark.parametrize("gap", [300, 700])
async def test_a_silence_is_told_once_though_every_pass_reads_a_line_without_an_end_again(
    house: House, jobs: Jobs, begun: str, gap: int
) -> None:
    house.write(silence="10m")
    out = jobs.add()
    out.write_text(f"a line\n{begun}")
    assert house.clock is not None
    for _ in range(6):
        await house.once()
        house.clock.at += gap
    assert triggers(house) == ["silence"]
    out.write_text(f"a line\n{begun}\nanother\n")
    for _ in range(4):
        await house.once()
        house.clock.at += gap
    assert triggers(house) == ["silence"] * 2


@pytest.mark.parametrize("fired", [True, False])
async def test_what_another_watcher_reads_again_ends_no_silence(house: House, jobs: Jobs, fired: bool) -> None:
    house.write(pattern=None, silence="10m")
    jobs.add().write_text("a line\n")
    await house.once()
    assert house.clock is not None
    house.clock.at += 700 if fired else 500
    await house.once()
    house.write("new", pattern="line")
    await house.once()
    house.clock.at += 700 if fired else 200
    await house.once()
    assert (triggers(house), triggers(house, "new")) == (["silence"], ["match"])


async def test_a_member_that_was_seen_counts_as_itself_wherever_an_edit_puts_it(house: House, jobs: Jobs) -> None:
    out = jobs.add()
    house.write(pattern=None, patterns={"all": ["A", "B"]})
    out.write_text("A\n")
    await house.once()
    house.write(pattern=None, patterns={"all": ["C", "A"]})
    out.write_text("A\nA\n")
    await house.once()
    assert triggers(house) == []
    out.write_text("A\nA\nC\n")
    await house.once()
    assert triggers(house) == ["match"]
