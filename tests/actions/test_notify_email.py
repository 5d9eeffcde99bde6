"""notify_email: into a real SMTP server, and by a real `mail` with a sendmail of the test's own."""

from __future__ import annotations

import re
import ssl
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from parts.acting import a_context, a_job
from parts.presence import program
from parts.receivers import Postbox, serving
from pydantic import ValidationError

from reconciler.actions.channels import read_channels
from reconciler.actions.notify_email import NotifyEmailParams, NotifyEmailSettings, check, make
from reconciler.errors import PermanentActionError, TemporaryActionError
from reconciler.transports.local import LocalTransport

PASSWORD = "correct horse"
ODD = {"to": "ada", "subject": "${JOB_NAME}", "message": "${JOB_NAME} $x"}


@pytest.fixture
def locked_postbox(tmp_path: Path) -> Iterator[tuple[Postbox, Path]]:
    """A real SMTP server that wants STARTTLS and a password; with its certificate."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        known = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
        return AuthResult(success=known, handled=known)  # not handled: the server says 535

    box = Postbox()
    options = {"tls_context": context, "require_starttls": True, "authenticator": authenticate, "auth_required": True}
    for served in serving(box, **options):
        yield served, certificate


def said(message: EmailMessage) -> str:
    return str(message.get_content()).replace("\r\n", "\n")


def smtp(postbox: Postbox, **more: Any) -> NotifyEmailSettings:
    server = {"host": "127.0.0.1", "port": postbox.port, "security": "plain", "timeout": 5, **more}
    return NotifyEmailSettings.model_validate({"smtp": server, "sender": "watch@example.org"})


async def test_a_mail_arrives_with_its_captures(this_machine: LocalTransport, postbox: Postbox) -> None:
    context = a_context(
        {
            "to": ["ada@example.org", "bob"],
            "subject": "Job ${JOB_ID} cancelled - $error",
            "message": "Error: $error\n~!x",
        },
        {"error": "CUDA öm"},
        transport=this_machine,
    )
    assert await make(smtp(postbox), {}).run(context) == "sent to ada@example.org, bob"
    ((to, message),) = postbox.got
    assert to == ["ada@example.org", "bob"]
    assert message["Subject"] == "Job 123 cancelled - CUDA öm"
    assert message["From"] == "watch@example.org"
    assert said(message) == "Error: CUDA öm\n~!x\n"
    assert message["Message-ID"].endswith("@reconciler.invalid>")


async def test_a_capture_adds_no_header_and_no_recipient(this_machine: LocalTransport, postbox: Postbox) -> None:
    evil = "x\r\nBcc: eve@example.org\n\nDear all\u2028y"
    context = a_context({"to": "ada", "subject": "$x", "message": "$x\n.\nQUIT"}, {"x": evil}, transport=this_machine)
    await make(smtp(postbox), {}).run(context)
    ((to, message),) = postbox.got
    assert to == ["ada"]
    assert message["Bcc"] is None
    assert message["Subject"] == "x Bcc: eve@example.org Dear all y"
    assert said(message).endswith("\n.\nQUIT\n")


async def test_a_subject_that_nobody_wrote_names_watcher_and_job(
    this_machine: LocalTransport, postbox: Postbox
) -> None:
    contexts = [a_context({"to": "ada"}, transport=this_machine) for _ in range(2)]
    await make(smtp(postbox), {}).run(contexts[0])
    await make(smtp(postbox), {}).run_together(contexts)
    (_, one), (_, both) = postbox.got
    assert one["Subject"] == "Watch: job 123"
    assert said(both).count("Watch: job 123: ") == 2


@pytest.mark.parametrize(
    "x", ["=?unknown-8bit?q?=FF?=", "=?utf-8?q?=C3?=", "=?utf-8*en?q?a?=\ufffd", "=?utf-8?q?Bcc=3A_eve?=", "=?=?=?= ö"]
)
async def test_what_looks_like_an_encoded_word_is_the_text_that_it_is(
    this_machine: LocalTransport, postbox: Postbox, x: str
) -> None:
    await make(smtp(postbox), {}).run(a_context({"to": "ada", "subject": "a $x"}, {"x": x}, transport=this_machine))
    assert postbox.got[0][1]["Subject"].replace("\u200b", "") == f"a {x}"


async def test_a_repeat_says_so_and_has_the_same_message_id(this_machine: LocalTransport, postbox: Postbox) -> None:
    for repeat in (False, True):
        context = a_context({"to": "ada", "subject": "s"}, transport=this_machine, repeat=repeat)
        await make(smtp(postbox), {}).run(context)
    first, second = (message for _, message in postbox.got)
    assert first["Message-ID"] == second["Message-ID"]
    assert "may be a repeat" in second["Subject"]
    assert "may be a repeat" in said(second)
    assert "repeat" not in first["Subject"] + said(first)


async def test_a_mail_can_end_with_the_last_lines(this_machine: LocalTransport, postbox: Postbox) -> None:
    async def tail(lines: int) -> str:
        return "\n".join(f"line {number}" for number in range(lines))

    await make(smtp(postbox), {}).run(a_context({"to": "ada", "tail_lines": 3}, transport=this_machine, tail=tail))
    content = said(postbox.got[0][1])
    assert content == "Watch: job 123 (train) on localhost: loss 5.73\n\nline 0\nline 1\nline 2\n"


async def test_recipients_come_from_the_file_the_channel_the_settings_or_the_job(
    this_machine: LocalTransport, postbox: Postbox
) -> None:
    known = read_channels({"ops": {"type": "email", "to": ["ops@example.org"]}})
    everyone = smtp(postbox).model_copy(update={"to": ("all@example.org",)})
    for settings, params in (
        (everyone, {"to": "ada"}),
        (everyone, {"channel": "ops"}),
        (everyone, {}),
        (smtp(postbox), {}),
    ):
        await make(settings, known).run(a_context(params, transport=this_machine, job=a_job(user="carol")))
    assert [to for to, _ in postbox.got] == [["ada"], ["ops@example.org"], ["all@example.org"], ["carol"]]


async def test_the_settings_say_whom_a_watcher_may_write_to(this_machine: LocalTransport, postbox: Postbox) -> None:
    settings = smtp(postbox).model_copy(update={"allow_to": ("*@example.org",)})
    with pytest.raises(PermanentActionError, match=r"eve@evil\.org") as caught:
        await make(settings, {}).run(a_context({"to": ["ada@example.org", "eve@evil.org"]}, transport=this_machine))
    assert caught.value.refused
    assert postbox.got == []
    assert check(NotifyEmailParams(to="eve@evil.org"), settings, {}, "git:x")
    assert check(NotifyEmailParams(channel="nobody"), settings, {}, "git:x")
    assert check(NotifyEmailParams(), settings, {}, "git:x") == ()


@pytest.mark.parametrize(
    "address", ["-S sendmail=/tmp/x", "$x", "a b", "a,b@c", "|cat", "a@b\nBcc: c", "", "/tmp/box", "a@-x"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        NotifyEmailParams.model_validate({"to": address})


@pytest.mark.parametrize("answer", ["451 try later", "421 shutting down", "452 full"])
async def test_a_server_that_is_busy_is_tried_again(
    this_machine: LocalTransport, postbox: Postbox, answer: str
) -> None:
    postbox.answers = [answer]
    with pytest.raises(TemporaryActionError, match=answer[:3]):
        await make(smtp(postbox), {}).run(a_context({"to": "ada"}, transport=this_machine))
    await make(smtp(postbox), {}).run(a_context({"to": "ada"}, transport=this_machine))
    assert len(postbox.got) == 1


async def test_a_server_that_says_no_is_not_asked_again(this_machine: LocalTransport, postbox: Postbox) -> None:
    postbox.answers = ["554 spam"]
    with pytest.raises(PermanentActionError, match="554: spam"):
        await make(smtp(postbox), {}).run(a_context({"to": "ada"}, transport=this_machine))
    postbox.refused = {"ada": "550 no such person"}
    with pytest.raises(PermanentActionError, match="550"):
        await make(smtp(postbox), {}).run(a_context({"to": "ada"}, transport=this_machine))


NO, LATER = "550 no such person", "451 come back later"


async def test_a_mail_that_some_did_not_get_is_told_and_not_sent_again(
    this_machine: LocalTransport, postbox: Postbox
) -> None:
    postbox.refused = {"bob": NO, "eve": NO}
    context = a_context({"to": ["ada", "bob", "cy", "eve"]}, transport=this_machine)
    with pytest.raises(PermanentActionError, match="sent to ada, cy and to nobody else") as caught:
        await make(smtp(postbox), {}).run(context)
    assert f"refused bob ({NO}), eve ({NO})" in caught.value.message
    assert [to for to, _ in postbox.got] == [["ada", "cy"]]
    sent = await make(smtp(postbox), {}).run_together([context, context])
    assert sent.taken == 2
    assert isinstance(sent.error, PermanentActionError)
    assert f"bob ({NO})" in sent.error.message


async def test_who_was_refused_for_a_time_is_tried_again_alone(this_machine: LocalTransport, postbox: Postbox) -> None:
    postbox.refused = {"bob": LATER, "eve": NO}
    context = a_context({"to": ["ada", "bob", "cy", "eve"]}, transport=this_machine)
    action = make(smtp(postbox), {})
    with pytest.raises(TemporaryActionError, match="sent to ada, cy") as caught:
        await action.run(context)
    assert f"refused bob ({LATER}), eve ({NO})" in caught.value.message
    assert caught.value.progress is not None
    again = replace(context, repeat=True, progress=caught.value.progress)
    with pytest.raises(TemporaryActionError):
        await action.run(again)
    assert postbox.asked == ["ada", "bob", "cy", "eve", "bob"]
    postbox.refused = {"eve": "250 OK"}
    with pytest.raises(PermanentActionError, match="sent to ada, cy, bob and to nobody else") as caught_at_last:
        await action.run(again)
    assert f"refused eve ({NO})" in caught_at_last.value.message
    (first, message), (second, late) = postbox.got
    assert (first, second) == (["ada", "cy"], ["bob"])
    assert message["Message-ID"] == late["Message-ID"]
    assert sorted(message["To"].split(", ")) == sorted(late["To"].split(", ")) == ["ada", "bob", "cy", "eve"]


async def test_what_was_refused_for_a_time_in_one_mail_for_several_goes_to_the_rest_in_one(
    this_machine: LocalTransport, postbox: Postbox
) -> None:
    postbox.refused = {"bob": LATER}
    contexts = [a_context({"to": ["ada", "bob"]}, transport=this_machine, mark=f"m.{n}") for n in range(3)]
    action = make(smtp(postbox), {})
    sent = await action.run_together(contexts)
    assert isinstance(sent.error, TemporaryActionError)
    rest = [replace(context, progress=sent.error.progress) for context in contexts]
    assert len({action.address(context) for context in rest}) == 1
    assert action.address(rest[0]) not in (action.address(contexts[0]), "bob")  # ada has this one, and lacks others
    postbox.refused = {}
    assert (await action.run_together(rest)).result == "sent to ada, bob, 3 notifications as one message"
    assert [to for to, _ in postbox.got] == [["ada"], ["bob"]]


@pytest.mark.parametrize(("refusal", "kind"), [(NO, PermanentActionError), (LATER, TemporaryActionError)])
async def test_a_mail_that_nobody_got_names_who_was_refused(
    this_machine: LocalTransport, postbox: Postbox, refusal: str, kind: type[Exception]
) -> None:
    postbox.refused = {"ada": NO, "bob": refusal}
    with pytest.raises(kind) as caught:
        await make(smtp(postbox), {}).run(a_context({"to": ["ada", "bob"]}, transport=this_machine))
    assert "sent to nobody" in str(caught.value)
    assert f"ada ({NO})" in str(caught.value)
    assert f"bob ({refusal})" in str(caught.value)


async def test_what_is_no_utf_8_arrives_with_signs_in_its_place(this_machine: LocalTransport, postbox: Postbox) -> None:
    context = a_context(ODD, {"x": "\udcc3("}, transport=this_machine, job=a_job(name="tr\udcffin"))
    await make(smtp(postbox), {}).run(context)
    await make(smtp(postbox), {}).run_together([context, context])
    (_, one), (_, both) = postbox.got
    assert (one["Subject"], said(one)) == ("tr\ufffdin", "tr\ufffdin \ufffd(\n")
    assert said(both).count("tr\ufffdin: tr\ufffdin \ufffd(\n") == 2


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"security": "tls", "ca_file": "/nowhere.pem"}, "/nowhere.pem cannot be used: No such file"),
        ({"security": "starttls", "ca_file": __file__}, "cannot be used: it holds no certificate"),
        ({"host": "mail..example.org"}, "'mail..example.org' can be no name of a server"),
    ],
)
async def test_settings_that_can_never_work_are_told_by_name_and_not_tried_again(
    this_machine: LocalTransport, wrong: dict[str, Any], told: str
) -> None:
    settings = smtp(Postbox(port=1), **wrong)
    with pytest.raises(PermanentActionError, match=re.escape(told)) as caught:
        await make(settings, {}).run(a_context({"message": "m"}, transport=this_machine))
    assert "actions.notify_email.smtp" in caught.value.remedy


async def test_a_server_that_is_away_is_tried_again(this_machine: LocalTransport) -> None:
    away = smtp(Postbox(port=1))
    with pytest.raises(TemporaryActionError, match=r"127\.0\.0\.1 was not reached"):
        await make(away, {}).run(a_context({"to": "ada"}, transport=this_machine))


async def test_it_speaks_tls_and_gives_a_password(
    this_machine: LocalTransport, locked_postbox: tuple[Postbox, Path], tmp_path: Path
) -> None:
    box, certificate = locked_postbox
    (tmp_path / "password").write_text(PASSWORD)
    settings = smtp(
        box, security="starttls", ca_file=str(certificate), user="watch", password={"file": str(tmp_path / "password")}
    )
    await make(settings, {}).run(a_context({"to": "ada"}, transport=this_machine))
    assert len(box.got) == 1
    assert "starttls" in repr(settings)


async def test_a_certificate_that_nobody_vouches_for_gets_no_password(
    this_machine: LocalTransport, locked_postbox: tuple[Postbox, Path]
) -> None:
    box, _ = locked_postbox
    settings = smtp(box, security="starttls", user="watch", password=PASSWORD)
    with pytest.raises(TemporaryActionError, match="not reached"):
        await make(settings, {}).run(a_context({"to": "ada"}, transport=this_machine))
    assert box.got == []


async def test_a_wrong_password_shows_nowhere(
    this_machine: LocalTransport, locked_postbox: tuple[Postbox, Path]
) -> None:
    box, certificate = locked_postbox
    settings = smtp(box, security="starttls", ca_file=str(certificate), user="watch", password="wrong-secret")
    with pytest.raises(PermanentActionError, match="535") as caught:
        await make(settings, {}).run(a_context({"to": "ada"}, transport=this_machine))
    assert "wrong-secret" not in str(caught.value) + repr(caught.value) + repr(settings)


@pytest.fixture
def sendmail(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Debian mail program, told to hand its mail to a script that keeps arguments and text."""
    program("mail", "bsd-mailx")
    script = home / "sendmail"
    script.write_text(f"#!/bin/sh\ncat > {home}/mail.tmp\nmv {home}/mail.tmp {home}/mail\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (home / ".mailrc").write_text(f"set sendmail={script} sendwait\n")
    monkeypatch.setenv("MAILRC", str(home / ".mailrc"))
    return home


def canaries(*directories: Path) -> list[Path]:
    return [path for directory in directories for path in directory.glob("**/canary")]


async def test_without_a_server_the_hosts_own_mail_takes_it(this_machine: LocalTransport, sendmail: Path) -> None:
    context = a_context(
        {"to": "ada", "subject": "-s $x", "message": "$x\n~!touch canary\n~r /etc/passwd"},
        {"x": "$(touch canary)\n~|touch canary"},
        transport=this_machine,
    )
    assert await make(None, {}).run(context) == "sent to ada"
    text = (sendmail / "mail").read_text()
    assert "Subject: -s $(touch canary) ~|touch canary\n" in text
    assert "~!touch canary" in text
    assert "root:" not in text
    assert "To: ada\n" in text
    assert canaries(sendmail, Path.cwd()) == []


async def test_the_hosts_own_mail_takes_what_is_no_utf_8(this_machine: LocalTransport, sendmail: Path) -> None:
    context = a_context(ODD, {"x": "\udcc3("}, transport=this_machine, job=a_job(name="tr\udcffin"))
    await make(None, {}).run(context)
    text = message_from_bytes((sendmail / "mail").read_bytes(), policy=policy.default)
    assert isinstance(text, EmailMessage)
    assert text["Subject"] == "tr\ufffdin"
    assert said(text).startswith("tr\ufffdin \ufffd(\n")


async def test_the_hosts_own_mail_takes_several_as_one(this_machine: LocalTransport, sendmail: Path) -> None:
    contexts = [
        a_context({"to": "ada", "subject": "s $x", "message": "$x\n~!touch canary"}, {"x": x}, transport=this_machine)
        for x in ("one", "$(touch canary)\n~|touch canary")
    ]
    action = make(None, {})
    assert {action.address(context) for context in contexts} == {"localhost: ada"}
    assert (await action.run_together(contexts)).taken == 2
    text = (sendmail / "mail").read_text()
    assert "Subject: 2 notifications of Watch, job 123\n" in text
    assert " s one: one\n" in text
    assert " s $(touch canary) ~|touch canary: $(touch canary)\n" in text
    assert canaries(sendmail, Path.cwd()) == []


async def test_one_mail_for_several_says_which_may_be_a_repeat(this_machine: LocalTransport, postbox: Postbox) -> None:
    contexts = [
        a_context(
            {"to": ["bob", "ada"], "message": f"number {n}"}, transport=this_machine, repeat=n == 2, mark=f"m.{n}"
        )
        for n in range(1, 4)
    ]
    action = make(smtp(postbox), {})
    assert {action.address(context) for context in contexts} == {"ada, bob"}
    for _ in range(2):
        assert (await action.run_together(contexts)).result == "sent to bob, ada, 3 notifications as one message"
    (to, first), (_, second) = postbox.got
    assert (to, first["Message-ID"]) == (["bob", "ada"], second["Message-ID"])
    assert "may be a repeat" in first["Subject"]
    marked = ["may be a repeat" in line for line in said(first).splitlines() if line.startswith("- ")]
    assert marked == [False, True, False]


async def test_a_host_without_mail_says_what_to_do(
    this_machine: LocalTransport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PermanentActionError, match="no `mail`") as caught:
        await make(None, {}).run(a_context({"to": "ada"}, transport=this_machine))
    assert "smtp" in caught.value.remedy
