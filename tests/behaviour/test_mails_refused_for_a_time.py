"""A mail server that takes some recipients and puts off others: the rest is tried again alone, over crashes too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from parts.core import LOG
from parts.house import House, Jobs, SteppedClock
from parts.receivers import Postbox

from reconciler.actions.notify_email import NotifyEmail, NotifyEmailSettings
from reconciler.model import WatcherState
from reconciler.protocols import ActionContext, Together

ADA, BOB, EVE = "ada@example.org", "bob@example.org", "eve@example.org"
LATER, NO = "451 come back later", "550 no such person"
NUMBER: dict[str, Any] = {"pattern": r"n=(\d+)", "captures": ["n"], "max_failures": 20}
MAIL: dict[str, Any] = {"type": "notify_email", "params": {"to": [ADA, BOB, EVE], "message": "number <$n>"}}


def numbers(last: int) -> str:
    return "".join(f"n={n}\n" for n in range(1, last + 1))


@pytest.fixture
def house(tmp_path: Path, postbox: Postbox) -> House:
    smtp = {"host": "127.0.0.1", "port": postbox.port, "security": "plain", "timeout": 5}
    return House(tmp_path, actions={"notify_email": {"smtp": smtp}})


@pytest.fixture
def jobs(house: House) -> Jobs:
    return house.with_jobs(SteppedClock())


def got(postbox: Postbox) -> list[list[str]]:
    return [to for to, _ in postbox.got]


async def a_while_later(house: House) -> None:
    assert house.clock is not None
    house.clock.at += 400
    await house.once()


async def test_who_was_put_off_is_tried_again_with_backoff_and_nobody_gets_a_second_mail(
    house: House, jobs: Jobs, postbox: Postbox
) -> None:
    postbox.refused = {BOB: LATER}
    house.write(**NUMBER, actions=[MAIL, {**LOG, "needs": [0]}])
    jobs.add().write_text(numbers(1))
    await house.once()
    await a_while_later(house)
    assert [event.data["retry_in"] for event in house.events("action.failed")] == [5.0, 10.0]
    postbox.refused = {}
    await a_while_later(house)
    assert got(postbox) == [[ADA, EVE], [BOB]]
    assert postbox.asked == [ADA, BOB, EVE, BOB, BOB]
    mail, log = house.events("action.succeeded")
    assert (mail.action_result, log.action_type) == (f"sent to {ADA}, {EVE}, {BOB}", "log_event")


async def test_trying_ends_and_who_never_got_it_is_told(house: House, jobs: Jobs, postbox: Postbox) -> None:
    postbox.refused = {BOB: LATER, EVE: NO}
    house.write(**NUMBER, actions=[MAIL])
    jobs.add().write_text(numbers(1))
    await house.once()
    for _ in range(9):
        await a_while_later(house)
    assert postbox.asked == [ADA, BOB, EVE, *[BOB] * 5]
    last = house.events("action.failed")[-1]
    assert "retry_in" not in last.data
    assert last.action_result == (
        f"sent to {ADA} and to nobody else; the mail server refused {BOB} ({LATER}), {EVE} ({NO})"
    )
    assert not house.events("action.succeeded")
    with house.state() as state:
        assert state.pending() == ()


async def test_many_that_went_as_one_go_as_one_to_who_was_put_off(house: House, jobs: Jobs, postbox: Postbox) -> None:
    postbox.refused = {BOB: LATER}
    house.write(**NUMBER, actions=[MAIL])
    jobs.add().write_text(numbers(40))
    await house.once()
    assert len(house.events("action.failed")) == 40
    assert (house.row().state, house.row().failures) == (WatcherState.ACTIVE, 1)
    postbox.refused = {}
    await a_while_later(house)
    assert got(postbox) == [[ADA, EVE], [BOB]]
    assert len(house.events("action.succeeded")) == 40


class CrashError(BaseException):
    """The process ends."""


class DiesBeforeSending(NotifyEmail):
    async def run(self, context: ActionContext) -> str:
        raise CrashError

    async def run_together(self, contexts: Sequence[ActionContext]) -> Together:
        raise CrashError


@pytest.mark.parametrize("many", [1, 40])
async def test_a_crash_after_the_first_try_makes_nobody_get_it_twice(
    house: House, jobs: Jobs, postbox: Postbox, many: int
) -> None:
    postbox.refused = {BOB: LATER}
    house.write(**NUMBER, actions=[MAIL])
    jobs.add().write_text(numbers(many))
    await house.once()
    house.actions["notify_email"] = DiesBeforeSending(NotifyEmailSettings(), {})
    with pytest.raises(CrashError):
        await a_while_later(house)
    del house.actions["notify_email"]
    postbox.refused = {}
    await a_while_later(house)
    assert got(postbox) == [[ADA, EVE], [BOB]]
    assert len(house.events("action.interrupted")) == many
    assert len(house.events("action.succeeded")) == many
