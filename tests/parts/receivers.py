"""Who gets notifications in tests: a real SMTP server and a real HTTP listener, as fixtures `postbox` and `webhook`.

Both note what arrives and answer what the test tells them to.
"""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from parts.ports import free_port

#: The secret part of the listener's address.
SECRET = "T000-B000-XXXXXXXX"


@dataclass
class Webhook:
    """What a listener got, and what it answers next."""

    address: str = ""
    got: list[tuple[str, Any]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A real HTTP server on a loopback port that takes what Slack takes."""
    hook = Webhook()

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append((self.path, json.loads(body)))
            status, headers, text = hook.answers.pop(0) if hook.answers else (200, {}, b"ok")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hook.address = f"http://127.0.0.1:{server.server_port}/services/{SECRET}"
    yield hook
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Postbox:
    """What a mail server got, and what it answers next to DATA."""

    port: int = 0
    got: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # a recipient, and the answer to it
    asked: list[str] = field(default_factory=list)  # recipients

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.asked.append(address)
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.got.append((list(envelope.rcpt_tos), message))
        return answer


def serving(box: Postbox, **options: Any) -> Iterator[Postbox]:
    box.port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=box.port, **options)
    controller.start()
    yield box
    controller.stop()


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    """A real SMTP server without TLS."""
    yield from serving(Postbox())
