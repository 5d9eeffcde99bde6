"""Many notifications to one channel at once: few messages, everything in them, and each with an outcome of its own."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from parts.core import LOG
from parts.house import SHORT, House, Jobs, SteppedClock
from parts.receivers import Postbox, Webhook
from parts.waiting import eventually

from reconciler.actions.channels import read_channels
from reconciler.actions.notify_slack import NotifySlack
from reconciler.model import JobState, WatcherState
from reconciler.protocols import ActionContext, Together

NUMBER: dict[str, Any] = {"pattern": r"n=(\d+)", "captures": ["n"]}
POST: dict[str, Any] = {"type": "notify_slack", "params": {"channel": "team", "message": "number <$n>"}}
MAIL: dict[str, Any] = {"type": "notify_email", "params": {"to": "ada@example.org", "message": "number <$n>"}}


def numbers(first: int, last: int) -> str:
    return "".join(f"n={n}\n" for n in range(first, last + 1))


def told(texts: Sequence[str]) -> list[int]:
    """The numbers that these messages name, in their order."""
    return [int(n) for text in texts for n in re.findall(r"number <(\d+)>", text)]


def posts(hook: Webhook) -> list[str]:
    return [str(body["text"]) for _, body in hook.got]


def mails(box: Postbox) -> list[str]:
    return [str(message.get_content()) for _, message in box.got]


class PatientClock(SteppedClock):
    """A stepped clock whose short sleeps take their time too, so that others can come meanwhile."""

    async def sleep(self, seconds: float) -> None:
        if seconds <= SHORT:
            await asyncio.sleep(seconds)
        await super().sleep(seconds)


@pytest.fixture
def posting(tmp_path: Path, webhook: Webhook) -> House:
    return House(tmp_path, channels={"team": {"type": "slack", "webhook": webhook.address}})


@pytest.fixture
def mailing(tmp_path: Path, postbox: Postbox) -> House:
    smtp = {"host": "127.0.0.1", "port": postbox.port, "security": "plain", "timeout": 5}
    return House(tmp_path, actions={"notify_email": {"smtp": smtp}})


def nothing_pending(house: House) -> bool:
    with house.state() as state:
        return state.pending() == ()


# --- few messages, and everything in them ----------------------------------------------------------------------------


async def test_300_matches_at_once_are_one_mail_that_lists_them_and_300_outcomes(
    mailing: House, postbox: Postbox
) -> None:
    jobs = mailing.with_jobs(PatientClock())
    mailing.write(**NUMBER, actions=[MAIL, LOG])
    jobs.add().write_text(numbers(1, 300))
    await mailing.once()
    ((to, message),) = postbox.got
    assert to == ["ada@example.org"]
    assert message["Subject"] == "300 notifications of w, job 1"
    assert told(mails(postbox)) == list(range(1, 301))
    done = [event for event in mailing.events("action.succeeded") if event.action_type == "notify_email"]
    assert [event.data["line"] for event in done] == list(range(1, 301))
    assert {event.action_result for event in done} == {"sent to ada@example.org, 300 notifications as one message"}
    assert nothing_pending(mailing)


async def test_100_jobs_that_fail_at_once_are_few_posts(posting: House, webhook: Webhook) -> None:
    jobs = posting.with_jobs(PatientClock())
    posting.write(**NUMBER, actions=[POST])
    for n in range(1, 101):
        jobs.add(str(n)).write_text(numbers(n, n))
    assert posting.clock is not None
    passes = 0
    while not passes or not nothing_pending(posting):
        await posting.once()
        posting.clock.at += 61
        passes += 1
        assert passes < 9
    assert sorted(told([text.replace("&lt;", "<").replace("&gt;", ">") for text in posts(webhook)])) == list(
        range(1, 101)
    )
    assert len(webhook.got) <= 20  # one, where nothing stalls
    assert len(posting.events("action.succeeded")) == 100


async def test_few_are_messages_of_their_own(mailing: House, postbox: Postbox) -> None:
    jobs = mailing.with_jobs(PatientClock())
    mail = {**MAIL, "params": {**MAIL["params"], "subject": "about $n"}}
    mailing.write(**NUMBER, actions=[mail])
    jobs.add().write_text(numbers(1, 5))
    await mailing.once()
    assert [message["Subject"] for _, message in postbox.got] == [f"about {n}" for n in range(1, 6)]
    assert told(mails(postbox)) == [1, 2, 3, 4, 5]


async def test_watchers_of_one_job_share_a_message(posting: House, webhook: Webhook) -> None:
    jobs = posting.with_jobs(PatientClock())
    for n in range(8):
        posting.write(f"w{n}", **NUMBER, actions=[POST])
    jobs.add().write_text(numbers(1, 2))
    assert posting.clock is not None
    for _ in range(4):
        await posting.once()
        posting.clock.at += 61
    assert len(webhook.got) <= 8  # one, where nothing stalls
    assert any(re.match(r"\d+ notifications of [2-8] watchers, job 1\.", text) for text in posts(webhook))
    assert (
        sorted(told([text.replace("&lt;", "<").replace("&gt;", ">") for text in posts(webhook)])) == [1] * 8 + [2] * 8
    )


async def test_different_channels_get_what_is_theirs(tmp_path: Path, webhook: Webhook) -> None:
    address = webhook.address
    channels = {name: {"type": "slack", "webhook": f"{address}-{name}"} for name in ("a", "b")}
    house = House(tmp_path, channels=channels)
    jobs = house.with_jobs(PatientClock())
    for name in channels:
        house.write(name, **NUMBER, actions=[{**POST, "params": {"channel": name, "message": f"{name} number <$n>"}}])
    jobs.add().write_text(numbers(1, 20))
    await house.once()
    got = {path[-1]: body["text"] for path, body in webhook.got}
    assert len(webhook.got) == 2
    for name in channels:
        assert told([got[name]]) == list(range(1, 21))
        assert got[name].count(f"{name} number") == 20


async def test_what_has_no_room_in_a_message_is_in_the_next(posting: House, webhook: Webhook) -> None:
    jobs = posting.with_jobs(PatientClock())
    long = {**POST, "params": {"channel": "team", "message": "number <$n> " + "x" * 900}}
    posting.write(**NUMBER, actions=[long])
    jobs.add().write_text(numbers(1, 60))
    assert posting.clock is not None
    await posting.once()
    (first,) = posts(webhook)
    assert len(first) <= 35_000
    assert "more follow" in first
    assert len(posting.events("action.succeeded")) == len(told([first])) < 60
    posting.clock.at += 61
    await posting.once()
    assert len(webhook.got) == 2
    assert told(posts(webhook)) == list(range(1, 61))
    assert nothing_pending(posting)


async def test_captured_text_can_neither_mention_anybody_nor_take_all_the_room(
    posting: House, webhook: Webhook
) -> None:
    jobs = posting.with_jobs(PatientClock())
    posting.write(pattern="n=(?P<n>.*)", actions=[POST])
    jobs.add().write_text("".join(f"n=<!channel> {n} {'y' * 20_000}\n" for n in range(8)))
    await posting.once()
    (text,) = posts(webhook)
    assert "<!channel>" not in text
    assert text.count("&lt;!channel&gt;") == 8
    assert len(text) <= 35_000


async def test_the_last_lines_of_few_jobs_are_in_it(posting: House, webhook: Webhook) -> None:
    jobs = posting.with_jobs(PatientClock())
    post = {**POST, "params": {**POST["params"], "tail_lines": 2}}
    posting.write(**NUMBER, actions=[post])
    for n in range(1, 7):
        jobs.add(str(n)).write_text(f"n={n}\nbefore {n}\nlast {n}\n")
    assert posting.clock is not None
    for _ in range(3):
        await posting.once()
        posting.clock.at += 61
    whole = "\n".join(posts(webhook))
    assert all(f"```\nbefore {n}\nlast {n}\n```" in whole for n in range(1, 7))


async def test_what_comes_later_in_the_window_waits_for_its_end(posting: House, webhook: Webhook) -> None:
    jobs = posting.with_jobs(PatientClock())
    posting.write(**NUMBER, actions=[POST])
    out = jobs.add()
    out.write_text(numbers(1, 6))
    async with posting.engine() as engine:
        await engine.once.run()
        with out.open("a") as file:
            file.write(numbers(7, 17))
        await engine.once.run()
        assert len(webhook.got) == 1
        assert posting.clock is not None
        posting.clock.at += 61
        await engine.once.run()
    assert told(posts(webhook)) == list(range(1, 18))
    assert len(webhook.got) == 2


# --- order, conditions, observing ------------------------------------------------------------------------------------


async def test_what_needs_a_notification_runs_behind_it(posting: House, webhook: Webhook) -> None:
    jobs = posting.with_jobs(PatientClock())
    posting.write(**NUMBER, actions=[{**POST, "condition": "int(n) > 10"}, {**LOG, "needs": [0]}])
    jobs.add().write_text(numbers(1, 30))
    await posting.once()
    assert told(posts(webhook)) == list(range(11, 31))
    kinds = [(e.data["action"], e.type.split(".")[2], e.data["line"]) for e in posting.events()
             if e.type.startswith("reconciler.action.")]  # fmt: skip
    assert {line for action, kind, line in kinds if kind == "skipped"} == set(range(1, 11))
    assert [line for action, kind, line in kinds if (action, kind) == (1, "succeeded")] == list(range(11, 31))
    first_behind = kinds.index((1, "succeeded", 11))
    assert kinds.index((0, "succeeded", 11)) < first_behind


async def test_a_notification_never_overtakes_what_stands_before_it_in_its_list(
    posting: House, webhook: Webhook
) -> None:
    jobs = posting.with_jobs(PatientClock())
    posting.write(**NUMBER, actions=[{"type": "requeue"}, POST])
    jobs.add().write_text(numbers(1, 8))
    await posting.once()
    order = [(e.data["line"], e.data["action"]) for e in posting.events("action.succeeded", "action.failed")]
    for line in range(1, 9):
        own = [action for at, action in order if at == line]
        assert own == sorted(own)


async def test_observing_sends_nothing(posting: House, webhook: Webhook) -> None:
    jobs = posting.with_jobs(PatientClock())
    posting.write(**NUMBER, mode="observe", actions=[POST])
    jobs.add().write_text(numbers(1, 20))
    await posting.once()
    assert webhook.got == []
    assert len(posting.events("action.would_run")) == 20


# --- failures --------------------------------------------------------------------------------------------------------


async def test_a_channel_that_fails_is_tried_again_with_backoff_as_one(mailing: House, postbox: Postbox) -> None:
    jobs = mailing.with_jobs(PatientClock())
    postbox.answers = ["451 busy", "451 busy"]
    mailing.write(**NUMBER, max_failures=3, actions=[MAIL])
    jobs.add().write_text(numbers(1, 40))
    assert mailing.clock is not None
    waits = []
    for _ in range(2):
        await mailing.once()
        assert postbox.got == []
        waits.append({event.data["retry_in"] for event in mailing.events("action.failed")[-40:]})
        mailing.clock.at += max(waits[-1]) + 1
    await mailing.once()
    assert waits == [{5.0}, {10.0}]
    assert len(postbox.got) == 1
    assert told(mails(postbox)) == list(range(1, 41))
    assert (mailing.row().state, mailing.row().failures) == (WatcherState.ACTIVE, 0)
    assert nothing_pending(mailing)


async def test_a_message_that_is_refused_is_one_failure_of_its_watcher(mailing: House, postbox: Postbox) -> None:
    jobs = mailing.with_jobs(PatientClock())
    postbox.answers = ["554 spam"]
    mailing.write(**NUMBER, max_failures=2, actions=[MAIL])
    jobs.add().write_text(numbers(1, 40))
    await mailing.once()
    assert len(mailing.events("action.failed")) == 40
    assert (mailing.row().state, mailing.row().failures) == (WatcherState.ACTIVE, 1)
    assert nothing_pending(mailing)


async def test_a_message_that_some_did_not_get_has_failed_and_what_had_no_room_has_its_turn(
    mailing: House, postbox: Postbox
) -> None:
    jobs = mailing.with_jobs(PatientClock())
    postbox.refused = {"bob@example.org": "550 no such person"}
    long = {"to": ["ada@example.org", "bob@example.org"], "message": "number <$n> " + "x" * 900}
    mailing.write(**NUMBER, actions=[{**MAIL, "params": long}])
    jobs.add().write_text(numbers(1, 150))
    await mailing.once()
    assert mailing.clock is not None
    mailing.clock.at += 61
    await mailing.once()
    assert told(mails(postbox)) == list(range(1, 151))
    assert len(postbox.got) == 2
    failed = mailing.events("action.failed")
    assert len(failed) == 150
    assert all("bob@example.org (550 no such person)" in event.action_result for event in failed)


async def test_a_channel_that_hangs_blocks_nobody_else(tmp_path: Path, webhook: Webhook) -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections, and says nothing
    port = silent.getsockname()[1]
    channels = {
        "slow": {"type": "slack", "webhook": f"http://127.0.0.1:{port}/x", "timeout": 2},
        "team": {"type": "slack", "webhook": webhook.address},
    }
    house = House(tmp_path, channels=channels)
    house.write("slow", **NUMBER, actions=[{**POST, "params": {"channel": "slow"}}])
    house.write("quick", **NUMBER, actions=[POST])
    house.write("logs", **NUMBER)
    jobs = Jobs(house.outputs)
    house.scheduler = jobs
    jobs.add().write_text(numbers(1, 30))
    with silent:
        async with house.daemon():
            await eventually(lambda: told(posts(webhook)) == list(range(1, 31)))
            await eventually(lambda: len(house.done("logs")) == 30)
            assert house.events("action.succeeded", watcher="slow") == ()
            await eventually(lambda: len(house.events("action.failed", watcher="slow")) >= 30)
    assert {event.data["retry_in"] for event in house.events("action.failed", watcher="slow")} >= {5.0}


# --- crashes and stops -----------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process is gone: nothing behind this is done or recorded."""


class SendsAndDies(NotifySlack):
    """Sends, and the process ends before anything can be recorded, once."""

    died = False

    async def run_together(self, contexts: Sequence[ActionContext]) -> Together:
        sent = await super().run_together(contexts)
        if not self.died:
            self.died = True
            raise Crash
        return sent


async def test_a_crash_between_sending_and_recording_is_told_and_sent_again_as_a_possible_repeat(
    posting: House, webhook: Webhook
) -> None:
    jobs = posting.with_jobs(PatientClock())
    channels = read_channels(posting.settings.channels)
    posting.actions["notify_slack"] = SendsAndDies(channels)
    posting.write(**NUMBER, actions=[POST, LOG])
    jobs.add().write_text(numbers(1, 30))
    with pytest.raises(Crash):
        await posting.once()
    await posting.once()
    first, second = posts(webhook)
    assert told([first]) == told([second]) == list(range(1, 31))
    assert "may be a repeat" not in first
    assert second.count("may be a repeat") == 30
    assert len(posting.events("action.interrupted")) == 30
    assert len([e for e in posting.events("action.succeeded") if e.action_type == "notify_slack"]) == 30
    assert nothing_pending(posting)


class Dies(NotifySlack):
    """The process ends before anything is sent."""

    async def run(self, context: ActionContext) -> str:
        raise Crash

    async def run_together(self, contexts: Sequence[ActionContext]) -> Together:
        raise Crash


async def test_a_crash_before_sending_loses_nothing(posting: House, webhook: Webhook) -> None:
    jobs = posting.with_jobs(PatientClock())
    posting.actions["notify_slack"] = Dies(read_channels(posting.settings.channels))
    posting.write(**NUMBER, actions=[POST])
    for n in range(1, 13):
        jobs.add(str(n)).write_text(numbers(n, n))
    with pytest.raises(Crash):
        await posting.once()
    del posting.actions["notify_slack"]
    assert posting.clock is not None
    for _ in range(3):
        await posting.once()
        posting.clock.at += 61
    assert sorted(told(posts(webhook))) == list(range(1, 13))
    assert nothing_pending(posting)


async def test_a_daemon_that_is_stopped_while_notifications_gather_loses_none(
    tmp_path: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.engine.daemon.STOP_GRACE", 0.2)
    house = House(tmp_path, channels={"team": {"type": "slack", "webhook": webhook.address}}, digest={"gather": 60})
    house.write(**NUMBER, actions=[POST])
    jobs = Jobs(house.outputs)
    house.scheduler = jobs
    jobs.add().write_text(numbers(1, 12))
    async with house.daemon() as engine:
        await eventually(lambda: len(house.matched()) == 12)
        (task,) = engine.controller.fleet.tasks.values()
        dispatcher = engine.controller.fleet.dispatcher(task)
        await eventually(lambda: dispatcher.waiting(house.row().id) == ())  # all are with the courier
    assert webhook.got == []
    house.settings = house.settings.model_copy(update={"digest": House(tmp_path).settings.digest})
    await house.once()
    assert told(posts(webhook)) == list(range(1, 13))
    assert "may be a repeat" not in posts(webhook)[0]
    assert house.events("action.interrupted") == ()


async def test_notifications_of_a_job_that_has_ended_go_out_with_the_others(posting: House, webhook: Webhook) -> None:
    jobs = posting.with_jobs(PatientClock())
    posting.write(trigger_on_job_end=True, pattern=None, actions=[{**POST, "params": {"channel": "team"}}])
    for n in range(1, 21):
        jobs.add(str(n)).write_text("")
        jobs.finish(str(n), JobState.FAILED)
    assert posting.clock is not None
    for _ in range(3):
        await posting.once()
        posting.clock.at += 61
    assert len(webhook.got) <= 12  # one, where nothing stalls
    assert {row.state for row in posting.rows()} == {WatcherState.COMPLETED}
    assert len(posting.events("action.succeeded")) == 20
