"""notify_slack against a real HTTP listener: what arrives, what is tried again, and what never shows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

import pytest
from parts.acting import a_context, a_job
from parts.receivers import SECRET, Webhook

from reconciler.actions.channels import SlackChannel, read_channels
from reconciler.actions.notify_slack import PLUGIN, NotifySlackParams, check, make
from reconciler.errors import ConfigurationError, PermanentActionError, TemporaryActionError
from reconciler.protocols import AfterCrash, Limit
from reconciler.transports.local import LocalTransport

ODD = a_job(name="tr\udcffin")  # a name in Latin-1


def channels(webhook: Webhook, **more: Any) -> dict[str, Any]:
    return dict(read_channels({"team": {"type": "slack", "webhook": webhook.address, **more}}))


async def test_a_message_arrives_with_its_captures(this_machine: LocalTransport, webhook: Webhook) -> None:
    context = a_context({"message": "loss $loss on ${JOB_ID}"}, {"loss": "5.73"}, transport=this_machine)
    assert await make(None, channels(webhook)).run(context) == "posted to team"
    assert webhook.got == [(f"/services/{SECRET}", {"text": "loss 5.73 on 123"})]


async def test_without_a_message_it_says_what_matched_and_where(this_machine: LocalTransport, webhook: Webhook) -> None:
    await make(None, channels(webhook)).run(a_context({"channel": "team"}, transport=this_machine))
    assert webhook.got[0][1] == {"text": "Watch: job 123 (train) on localhost: loss 5.73"}


async def test_captured_text_mentions_nobody_and_the_authors_own_may(
    this_machine: LocalTransport, webhook: Webhook
) -> None:
    context = a_context({"message": "<!here> $x"}, {"x": "<!channel> <http://evil|ok> & *"}, transport=this_machine)
    await make(None, channels(webhook)).run(context)
    assert webhook.got[0][1]["text"] == "<!here> &lt;!channel&gt; &lt;http://evil|ok&gt; &amp; *"


async def test_captured_text_mentions_nobody_where_a_plain_at_sign_would(
    this_machine: LocalTransport, webhook: Webhook
) -> None:
    context = a_context({"message": "@here $x"}, {"x": "@all (@channel) a@b.org @ x"}, transport=this_machine)
    await make(None, channels(webhook)).run(context)
    assert webhook.got[0][1]["text"] == "@here @\u200ball (@\u200bchannel) a@b.org @ x"


async def test_the_last_lines_stand_in_a_block_that_they_cannot_leave(
    this_machine: LocalTransport, webhook: Webhook
) -> None:
    async def tail(lines: int) -> str:
        return f"{lines} lines\n``` <!here>"

    context = a_context({"message": "m", "tail_lines": 5}, transport=this_machine, tail=tail)
    await make(None, channels(webhook)).run(context)
    assert webhook.got[0][1]["text"] == "m\n\n```\n5 lines\n''' &lt;!here&gt;\n```"


async def test_a_repeat_says_that_it_may_be_one(this_machine: LocalTransport, webhook: Webhook) -> None:
    await make(None, channels(webhook)).run(a_context({"message": "m"}, transport=this_machine, repeat=True))
    assert "may be a repeat" in webhook.got[0][1]["text"]


@pytest.mark.parametrize(
    ("status", "headers", "delay"),
    [
        (500, {}, None),
        (503, {"Retry-After": "soon"}, None),
        (429, {"Retry-After": "30"}, 30.0),
        (429, {"Retry-After": "99999"}, 3600.0),
    ],
)
async def test_a_service_that_is_busy_is_tried_again(
    this_machine: LocalTransport, webhook: Webhook, status: int, headers: dict[str, str], delay: float | None
) -> None:
    webhook.answers = [(status, headers, b"busy")]
    with pytest.raises(TemporaryActionError) as caught:
        await make(None, channels(webhook)).run(a_context({"message": "m"}, transport=this_machine))
    assert caught.value.delay == delay
    await make(None, channels(webhook)).run(a_context({"message": "m"}, transport=this_machine))


@pytest.mark.parametrize("status", [302, 400, 403, 404, 410])
async def test_a_service_that_says_no_is_not_asked_again(
    this_machine: LocalTransport, webhook: Webhook, status: int
) -> None:
    webhook.answers = [(status, {"Location": webhook.address}, b"invalid_token")]
    with pytest.raises(PermanentActionError, match=f"{status}: invalid_token"):
        await make(None, channels(webhook)).run(a_context({"message": "m"}, transport=this_machine))
    assert len(webhook.got) == 1


@pytest.mark.parametrize(
    "said",
    [
        f"Cannot POST /services/{SECRET}",
        f"<pre>no &#x54;{SECRET[1:]}</pre>",
        f"no /services/%54{SECRET[1:]}",
        '{"error": "' + SECRET.lower() + '"}',
        SECRET.lower(),
        SECRET.lower().rpartition("-")[2],
    ],
)
async def test_a_server_that_repeats_the_address_makes_it_known_to_nobody(
    this_machine: LocalTransport, webhook: Webhook, said: str
) -> None:
    webhook.answers = [(404, {}, said.encode())]
    with pytest.raises(PermanentActionError) as caught:
        await make(None, channels(webhook)).run(a_context({"message": "m"}, transport=this_machine))
    assert caught.value.message == "team answered with status 404"
    assert "channels" in caught.value.remedy


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (f"ftp://example.org/{SECRET}", "begin with https"),
        (SECRET, "begin with https"),
        (f"//example.org/{SECRET}", "begin with https"),
        (f"https:///{SECRET}", "no server"),
        (f"http://127.0.0.1:99999/{SECRET}", "port"),
        (f"http://127.0.0.1:0/{SECRET}", "port"),
        (f"http://127.0.0.1:{SECRET}", "cannot be read"),
        (f"http://127.0.0.1:1/{SECRET}\udcff", "cannot be read"),
        (f"http://xn--/{SECRET}", "cannot be read"),
    ],
)
async def test_an_address_that_nobody_can_have_is_not_tried_again(
    this_machine: LocalTransport, address: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", address)
    known = read_channels({"team": {"type": "slack", "webhook": {"env": "HOOK"}, "timeout": 5}})
    with pytest.raises(PermanentActionError, match=why) as caught:
        await make(None, known).run(a_context({"message": "m"}, transport=this_machine))
    assert caught.value.message.startswith("the webhook of team is no web address: it ")
    assert SECRET not in caught.value.message + caught.value.remedy
    assert caught.value.remedy


async def test_what_is_no_utf_8_arrives_with_signs_in_its_place(this_machine: LocalTransport, webhook: Webhook) -> None:
    context = a_context({"message": "${JOB_NAME} $x"}, {"x": "\udcc3\ud800"}, transport=this_machine, job=ODD)
    await make(None, channels(webhook)).run(context)
    await make(None, channels(webhook)).run_together([context, context])
    (_, one), (_, both) = webhook.got
    assert one["text"] == "tr\ufffdin \ufffd\ufffd"
    assert both["text"].count("job 123 (tr\ufffdin) on localhost: tr\ufffdin \ufffd\ufffd") == 2


@pytest.mark.parametrize(
    "address", [f"http://127.0.0.1:1/{SECRET}", f"http://127.0.0.1:1{SECRET}", f"ftp://x/{SECRET}", SECRET]
)
async def test_the_address_shows_in_no_error_result_or_log(
    this_machine: LocalTransport, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    known = read_channels({"team": {"type": "slack", "webhook": address, "timeout": 5}})
    with pytest.raises((TemporaryActionError, PermanentActionError)) as caught:
        await make(None, known).run(a_context({"message": "m"}, transport=this_machine))
    shown = [str(caught.value), repr(caught.value), repr(known), caught.value.remedy, caplog.text]
    assert not [text for text in shown if SECRET in text]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_message_that_arrives_leaves_no_address_in_the_log(
    this_machine: LocalTransport, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await make(None, channels(webhook)).run(a_context({"message": "m"}, transport=this_machine))
    assert SECRET not in caplog.text


async def test_the_secret_may_stand_in_a_file_or_a_variable(
    this_machine: LocalTransport, webhook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hook").write_text(webhook.address + "\n")
    monkeypatch.setenv("HOOK", webhook.address)
    for place in ({"file": str(tmp_path / "hook")}, {"env": "HOOK"}):
        known = read_channels({"team": {"type": "slack", "webhook": place}})
        await make(None, known).run(a_context({"message": "m"}, transport=this_machine))
    assert len(webhook.got) == 2


@pytest.mark.parametrize("place", [{"file": "/nowhere/hook"}, {"env": "NO_SUCH_HOOK"}])
async def test_a_secret_that_is_not_there_is_named_by_its_place(
    this_machine: LocalTransport, place: dict[str, str]
) -> None:
    known = read_channels({"team": {"type": "slack", "webhook": place}})
    with pytest.raises(PermanentActionError, match=r"/nowhere/hook|NO_SUCH_HOOK"):
        await make(None, known).run(a_context({"message": "m"}, transport=this_machine))


def test_a_secret_has_one_place() -> None:
    for place in ({}, {"file": "/x", "env": "Y"}, {"path": "/x"}):
        with pytest.raises(ConfigurationError):
            read_channels({"team": {"type": "slack", "webhook": place}})


def test_what_is_wrong_with_a_channel_is_told_without_its_secrets() -> None:
    wrong = {"team": {"type": "slack", "webhook": {"url": SECRET}, "token": SECRET}, "-y": {}}
    with pytest.raises(ConfigurationError, match=r"channels\.team\.slack\.token") as caught:
        read_channels(wrong)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_a_channel_is_named_where_there_are_several(this_machine: LocalTransport, webhook: Webhook) -> None:
    known = {**channels(webhook), "other": SlackChannel.model_validate({"type": "slack", "webhook": webhook.address})}
    with pytest.raises(PermanentActionError, match="other, team"):
        await make(None, known).run(a_context({"message": "m"}, transport=this_machine))
    await make(None, known).run(a_context({"message": "m", "channel": "other"}, transport=this_machine))


def test_check_knows_the_channels() -> None:
    assert check(NotifySlackParams(channel="team"), None, {}, "git:x") == (
        "there is no slack channel 'team' (known: none)",
    )
    known = read_channels(
        {"mail": {"type": "email", "to": ["a@b.c"]}, "team": {"type": "slack", "webhook": "http://x"}}
    )
    assert check(NotifySlackParams(channel="mail"), None, known, "git:x")
    assert check(NotifySlackParams(), None, known, "git:x") == ()


def test_a_notification_waits_over_the_limit_and_is_sent_again_after_a_crash() -> None:
    assert (PLUGIN.traits.limit, PLUGIN.traits.after_crash) == (Limit.DEFER, AfterCrash.RERUN_MARKED)


@pytest.mark.parametrize(
    ("head", "body", "error"),
    [
        (b"200 OK", b"x", None),
        (b"200 OK\r\nContent-Encoding: gzip", b"no gzip", None),
        (b"404 Not Found", b"x" * 100_000, PermanentActionError),
        (b"404 Not Found", b"x", TemporaryActionError),
        (b"404 Not Found\r\nContent-Encoding: gzip", b"no gzip" * 1000, PermanentActionError),
    ],
)
async def test_an_answer_that_has_no_end_or_makes_no_sense_holds_nobody_up(
    this_machine: LocalTransport, head: bytes, body: bytes, error: type[Exception] | None
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 " + head + b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(body)
                await writer.drain()
                await asyncio.sleep(0.05)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/services/{SECRET}"
    team = read_channels({"team": {"type": "slack", "webhook": address, "timeout": 1}})
    async with asyncio.timeout(30):
        posting = make(None, team).run(a_context({"message": "m"}, transport=this_machine))
        if error is None:
            assert await posting == "posted to team"
        else:
            with pytest.raises(error):
                await posting
    server.close()
