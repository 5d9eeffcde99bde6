"""An output whose path the scheduler tells late, or tells anew, is followed where it is; nothing is told twice."""

from __future__ import annotations

from pathlib import Path

from parts.house import House

from reconciler.model import JobState, WatcherState


def append(file: Path, text: str) -> None:
    with file.open("a") as opened:
        opened.write(text)


async def test_a_path_that_becomes_known_with_the_jobs_node_is_followed_from_then_on(house: House) -> None:
    house.write()
    jobs = house.with_jobs()
    out = jobs.add("1", state=JobState.PENDING, started=None, stdout=None, stderr=None)
    await house.once()
    jobs.change("1", state=JobState.RUNNING, started=jobs._now(), stdout=str(out), stderr=str(out))
    out.write_text("hit 1\n")
    for _ in range(2):
        await house.once()
    assert house.matched() == ["hit"]
    assert house.row().trigger_count == 1


async def test_an_answer_without_a_path_does_not_take_away_the_one_that_is_known(house: House) -> None:
    house.write()
    jobs = house.with_jobs()
    out = jobs.add("1")
    out.write_text("hit 1\n")
    await house.once()
    jobs.change("1", stdout=None, stderr=None)
    append(out, "hit 2\n")
    await house.once()
    assert len(house.matched()) == 2


async def test_a_path_that_is_only_assumed_does_not_take_away_the_one_that_was_told(house: House) -> None:
    house.write()
    jobs = house.with_jobs()
    out = jobs.add("1")
    out.write_text("hit 1\n")
    await house.once()
    append(out, "hit 2\n")
    assumed = out.with_name("slurm-1.out")
    assumed.write_text("hit of another job\n")
    jobs.finish("1", stdout=str(assumed), stderr=str(assumed), outputs_assumed=True)
    for _ in range(2):
        await house.once()
    assert [event.data["offset"] for event in house.events("watcher.triggered")] == [0, 6]
    assert house.row().state is WatcherState.COMPLETED


async def test_an_output_that_was_moved_and_told_under_its_new_path_goes_on_where_it_was(house: House) -> None:
    house.write()
    jobs = house.with_jobs()
    out = jobs.add("1")
    out.write_text("hit 1\nhit 2\n")
    await house.once()
    moved = out.rename(out.with_name("moved.out"))
    jobs.change("1", stdout=str(moved), stderr=str(moved))
    append(moved, "hit 3\n")
    await house.once()
    assert [event.data["offset"] for event in house.events("watcher.triggered")] == [0, 6, 12]


async def test_an_output_that_the_scheduler_tells_elsewhere_is_another_file_read_from_its_beginning(
    house: House,
) -> None:
    house.write()
    jobs = house.with_jobs()
    out = jobs.add("1")
    out.write_text("hit old 1\n")
    await house.once()
    new = out.with_name("new.out")
    new.write_text("a line\nhit new\n")
    append(out, "hit old, behind our back\n")
    jobs.change("1", stdout=str(new), stderr=str(new))
    for _ in range(2):
        await house.once()
    assert [event.data["line"] for event in house.events("watcher.triggered")] == [1, 2]


async def test_a_path_that_is_away_and_comes_back_is_not_read_again(house: House) -> None:
    house.write()
    jobs = house.with_jobs()
    out = jobs.add("1")
    out.write_text("hit 1\n")
    await house.once()
    away = out.rename(out.with_name("away"))
    await house.once()
    append(away, "hit 2\n")
    away.rename(out)
    await house.once()
    assert len(house.matched()) == 2
