"""notify by Apprise, against a real HTTP listener that its `json://` addresses reach."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import pytest
from parts.acting import a_context, a_job
from parts.receivers import Webhook

from reconciler.actions.channels import read_channels
from reconciler.actions.notify import NotifyParams, check, make
from reconciler.errors import PermanentActionError, TemporaryActionError
from reconciler.transports.local import LocalTransport

#: Apprise asks for a module that newer Pythons have not; the message is Python's.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def channels(*addresses: str, **more: Any) -> dict[str, Any]:
    return dict(read_channels({"phone": {"type": "apprise", "urls": list(addresses), **more}}))


def apprise_address(hook: Webhook) -> str:
    return hook.address.replace("http://", "json://")


async def test_a_message_arrives(this_machine: LocalTransport, webhook: Webhook) -> None:
    context = a_context(
        {"title": "$x\nand ${JOB_ID}", "message": "loss $x", "level": "failure"}, {"x": "5.73"}, transport=this_machine
    )
    assert await make(None, channels(apprise_address(webhook))).run(context) == "sent to phone"
    ((_, got),) = webhook.got
    assert (got["title"], got["message"], got["type"]) == ("5.73 and 123", "loss 5.73", "failure")


async def test_captured_text_mentions_nobody_and_the_authors_own_may(
    this_machine: LocalTransport, webhook: Webhook
) -> None:
    captured = {"x": "@everyone <@1> <@&2> <!channel> a@b.org"}
    context = a_context({"message": "@here $x"}, captured, transport=this_machine)
    await make(None, channels(apprise_address(webhook))).run(context)
    ((_, got),) = webhook.got
    assert got["message"] == "@here @\u200beveryone <@\u200b1> <@\u200b&2> <!\u200bchannel> a@b.org"


async def test_a_title_mentions_nobody_either_and_names_watcher_and_job_where_nobody_wrote_one(
    this_machine: LocalTransport, webhook: Webhook
) -> None:
    action = make(None, channels(apprise_address(webhook)))
    mentioning = a_context({"title": "@here $x", "message": "m"}, {"x": "@all"}, transport=this_machine)
    for context in (mentioning, a_context({"message": "m"}, transport=this_machine)):
        await action.run(context)
        await action.run_together([context, context])
    one, several, plain, more = (got for _, got in webhook.got)
    assert (one["title"], plain["title"]) == ("@here @\u200ball", "Watch: job 123")
    assert several["message"].count("@here @\u200ball: m") == 2
    assert more["message"].count("Watch: job 123: m") == 2


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("$a$b", {"a": "@", "b": "everyone"}),
        ("$a$b", {"a": "<@", "b": "123>"}),
        ("$a", {"a": "job@here"}),
        ("$a", {"a": "loss@everyone!"}),
        ("$a", {"a": "job@123"}),
        ("<$a>", {"a": "!channel"}),
        ("<$a>", {"a": "!subteam^S1"}),
    ],
)
async def test_no_two_texts_together_mention_anybody(
    this_machine: LocalTransport, webhook: Webhook, template: str, values: dict[str, str | None]
) -> None:
    context = a_context({"message": template}, values, transport=this_machine)
    await make(None, channels(apprise_address(webhook))).run(context)
    ((_, got),) = webhook.got
    assert not re.search(r"@(here|everyone|\d)|<[!@]\w", got["message"])


async def test_a_failure_is_worth_another_try_and_shows_no_address(
    this_machine: LocalTransport,
    webhook: Webhook,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook.answers = [(500, {}, b"")]
    known = channels(apprise_address(webhook))
    with pytest.raises(TemporaryActionError, match="phone did not take") as caught:
        await make(None, known).run(a_context({"message": "m"}, transport=this_machine))
    secret = webhook.address.rsplit("/", 1)[-1]
    assert secret not in str(caught.value) + repr(known)
    assert secret not in caplog.text


async def test_an_address_that_apprise_does_not_know_is_named_by_its_number(this_machine: LocalTransport) -> None:
    with pytest.raises(PermanentActionError, match="address 2 of phone") as caught:
        await make(None, channels("json://127.0.0.1:1", "secret-nonsense")).run(a_context({}, transport=this_machine))
    assert "nonsense" not in str(caught.value)


@pytest.mark.parametrize("address", ["nosuch://S3KRIT", "tgram://S3KRIT", "slack://S3KRIT", "S3KRIT", "json://:S3KRIT"])
async def test_an_address_that_is_wrong_shows_nowhere(
    this_machine: LocalTransport, address: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(PermanentActionError, match="address 1 of phone") as caught:
        await make(None, channels(address)).run(a_context({"message": "m"}, transport=this_machine))
    assert "channels" in caught.value.remedy
    assert "s3krit" not in (caplog.text + "".join(capfd.readouterr()) + caught.value.message).lower()


async def test_apprise_logs_nothing_by_itself(
    this_machine: LocalTransport, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook.answers = [(404, {}, b"")]
    with pytest.raises(TemporaryActionError):
        await make(None, channels(apprise_address(webhook))).run(a_context({"message": "m"}, transport=this_machine))
    assert not [record for record in caplog.records if record.name.partition(".")[0] in ("apprise", "urllib3")]
    assert logging.getLogger("apprise").handlers  # else Python would print what a level of its own lets through
    assert not logging.getLogger("apprise").propagate


async def test_what_is_no_utf_8_arrives_with_signs_in_its_place(this_machine: LocalTransport, webhook: Webhook) -> None:
    job = a_job(name="tr\udcffin")
    context = a_context({"title": "${JOB_NAME}", "message": "${JOB_NAME}"}, transport=this_machine, job=job)
    await make(None, channels(apprise_address(webhook))).run(context)
    ((_, got),) = webhook.got
    assert (got["title"], got["message"]) == ("tr\ufffdin", "tr\ufffdin")


async def test_without_apprise_it_says_what_to_install(
    this_machine: LocalTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(PermanentActionError) as caught:
        await make(None, channels("json://x")).run(a_context({}, transport=this_machine))
    assert "reconciler[notify]" in caught.value.remedy


def test_check_knows_the_channels() -> None:
    assert check(NotifyParams(channel="phone"), None, {}, "git:x")
    assert check(NotifyParams(channel="phone"), None, channels("json://x"), "git:x") == ()


async def test_several_go_as_one_message_as_urgent_as_the_most_urgent(
    this_machine: LocalTransport, webhook: Webhook
) -> None:
    contexts = [
        a_context({"title": "about $x", "message": "loss $x", "level": level}, {"x": x}, transport=this_machine)
        for x, level in (("5", "info"), ("6", "failure"), ("7", "success"))
    ]
    action = make(None, channels(apprise_address(webhook)))
    assert {action.address(context) for context in contexts} == {"phone"}
    sent = await action.run_together(contexts)
    assert (sent.taken, sent.result) == (3, "sent to phone, 3 notifications as one message")
    ((_, got),) = webhook.got
    assert (got["title"], got["type"]) == ("3 notifications of Watch, job 123", "failure")
    lines = [line.partition(" about ")[2] for line in got["message"].splitlines() if line.startswith("- ")]
    assert lines == ["5: loss 5", "6: loss 6", "7: loss 7"]


async def test_a_service_that_takes_little_gets_as_many_as_it_takes(
    this_machine: LocalTransport, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apprise.plugins.custom_json import NotifyJSON

    monkeypatch.setattr(NotifyJSON, "body_maxlen", 900)
    contexts = [a_context({"message": f"{n} " + "x" * 300}, transport=this_machine) for n in range(9)]
    sent = await make(None, channels(apprise_address(webhook))).run_together(contexts)
    ((_, got),) = webhook.got
    assert 1 <= sent.taken < 9
    assert len(got["message"]) <= 900
    assert f"{9 - sent.taken} more follow" in got["message"]


def test_a_channel_that_is_not_there_has_no_address(this_machine: LocalTransport) -> None:
    with pytest.raises(PermanentActionError):
        make(None, {}).address(a_context({"message": "m"}, transport=this_machine))
