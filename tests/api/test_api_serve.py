"""`reconcile serve` and `apikey` as commands: HTTPS, sockets, signals, and that nothing else pays for them."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest
from parts.house import House
from parts.waiting import soon
from websockets.sync.client import connect


class Running:
    """A server in a process of its own. `url` and `link` are what it printed."""

    def __init__(self, process: subprocess.Popen[str], said: IO[str], told: Path) -> None:
        self.process, self._said, self._told = process, said, told

    @property
    def stderr(self) -> str:
        return self._told.read_text()

    @property
    def stdout(self) -> str:
        self._said.seek(0)
        return self._said.read()

    @property
    def url(self) -> str:
        found = soon(lambda: re.search(r"listening on (\S+)", self.stderr))
        assert found is not None
        return found[1]

    def stop(self, number: int = signal.SIGTERM, within: float = 10.0) -> int:
        self.process.send_signal(number)
        return self.process.wait(within)


@contextmanager
def serve(house: House, *words: str) -> Iterator[Running]:
    """Run `reconcile serve` while the block does."""
    with (
        open(house.home / "out", "w+") as out,
        open(house.home / "err", "w") as err,
        subprocess.Popen(
            house.argv("serve", str(house.watchers), *words), stdout=out, stderr=err, text=True
        ) as process,
    ):
        try:
            yield Running(process, out, house.home / "err")
        finally:
            if process.poll() is None:
                process.kill()


def key(house: House, *words: str) -> str:
    made = house.run("apikey", "create", *words)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def test_https_with_a_certificate_of_its_own_and_a_url_that_signs_in(house: House) -> None:
    token = key(house, "ci", "--scope", "write")
    with serve(house, "--port", "0") as running:
        assert running.url.startswith("https://127.0.0.1:")
        link = soon(lambda: re.search(r"^https://\S+/login\?token=\S+$", running.stdout, re.MULTILINE))
        assert link is not None
        trusted = ssl.create_default_context(cafile=str(house.home / "tls" / "self-signed.pem"))
        with httpx.Client(verify=trusted, trust_env=False) as client:
            assert client.get(f"{running.url}/api/watchers").status_code == 401
            assert client.get(f"{running.url}/api/watchers", headers={"X-API-Key": token}).status_code == 200
            signed = client.get(link[0])
            assert signed.status_code == 303
            cookie = signed.headers["set-cookie"]
            assert cookie.startswith("__Host-reconciler=")
            assert "Secure" in cookie
            assert client.get(f"{running.url}/api/session").json()["scope"] == "admin"
        headers = {"Authorization": f"Bearer {token}"}
        with connect(
            f"{running.url.replace('https', 'wss')}/ws/watchers", ssl=trusted, additional_headers=headers, proxy=None
        ) as open_:
            assert '"initial"' in str(open_.recv(10))
            assert running.stop() == 0
        with pytest.raises(httpx.HTTPError), httpx.Client(trust_env=False) as client:
            client.get(running.url.replace("https", "http"))
        secret = (house.home / "tls" / "self-signed.pem").stat().st_mode
        assert stat.S_IMODE(secret) == 0o600
        assert token not in running.stderr + running.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_within_ten_seconds(house: House, number: int) -> None:
    house.write(jobs={"name": "*"}, actions=[{"type": "run_command", "params": {"command": "sleep 60"}}])
    with serve(house, "--port", "0", "--insecure-http") as running:
        token = key(house, "ci")
        client = httpx.Client(base_url=running.url, headers={"X-API-Key": token}, trust_env=False)
        assert client.get("/healthz").status_code == 200
        began = time.monotonic()
        assert running.stop(number) == 0
        assert time.monotonic() - began < 10
        client.close()


def test_a_unix_socket_is_its_owners_alone_and_is_taken_away(house: House) -> None:
    path = house.home / "reconcile.sock"
    token = key(house, "ci")
    with serve(house, "--socket", str(path)) as running:
        soon(lambda: "listening" in running.stderr)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost") as client:
            assert client.get("/api/watchers").status_code == 401
            assert client.get("/api/watchers", headers={"X-API-Key": token}).status_code == 200
        assert running.stop() == 0
    assert not path.exists()


def test_a_socket_left_by_a_dead_process_is_replaced_and_a_living_one_is_not(house: House) -> None:
    path = house.home / "reconcile.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with serve(house, "--socket", str(path)) as running:
        soon(lambda: "listening" in running.stderr)
        other = House(house.home / "other")
        refused = other.run("serve", str(other.watchers), "--socket", str(path))
        assert (refused.returncode, "somebody listens" in refused.stderr) == (5, True)
        assert running.stop() == 0


def test_nothing_that_is_no_socket_is_replaced(house: House) -> None:
    path = house.home / "precious"
    path.write_text("x")
    refused = house.run("serve", str(house.watchers), "--socket", str(path))
    assert (refused.returncode, path.read_text()) == (5, "x")


def test_names_beyond_ascii_are_those_that_clients_ask_for(tmp_path: Path) -> None:
    house = House(tmp_path, api={"hosts": ["b\u00fccher.example"]})
    token = key(house, "ci")
    with serve(house, "--port", "0") as running:
        headers = {"X-API-Key": token, "Host": "xn--bcher-kva.example"}
        with httpx.Client(verify=False, trust_env=False) as client:
            assert client.get(f"{running.url}/api/watchers", headers=headers).status_code == 200
        assert running.stop() == 0
    none = House(tmp_path / "none", api={"hosts": ["\u00fc" * 80]})
    refused = none.run("serve", str(none.watchers), "--port", "0")
    assert (refused.returncode, "in `api.hosts` is no name of a host" in refused.stderr) == (4, True)


@pytest.mark.parametrize("name", ["x" * 120, "x" * 300, "file/x", "nowhere/x"], ids=["long", "longer", "file", "none"])
def test_a_place_that_takes_no_socket_is_said(house: House, name: str) -> None:
    (house.home / "file").touch()
    refused = house.run("serve", str(house.watchers), "--socket", str(house.home / name))
    assert (refused.returncode, "error: cannot listen on" in refused.stderr) == (4, True)
    assert "remedy: name another" in refused.stderr


def test_a_port_that_is_taken_is_said(house: House) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = house.run("serve", str(house.watchers), "--port", str(taken.getsockname()[1]))
    assert (refused.returncode, "cannot listen on 127.0.0.1" in refused.stderr) == (4, True)


def test_a_certificate_that_is_none_is_said_before_anything_starts(house: House) -> None:
    (house.home / "bad.pem").write_text("no certificate")
    refused = house.run("serve", str(house.watchers), "--port", "0", "--certificate", str(house.home / "bad.pem"))
    assert (refused.returncode, "bad.pem" in refused.stderr) == (4, True)
    assert not (house.home / "state.db").exists()


def test_a_second_server_on_one_state_leaves(house: House) -> None:
    with serve(house, "--port", "0") as running:
        assert running.url
        assert house.run("serve", str(house.watchers), "--port", "0").returncode == 6
        assert running.stop() == 0


def test_other_commands_work_beside_a_server(house: House) -> None:
    with serve(house, "--port", "0", "--insecure-http", "--no-link") as running:
        assert running.url
        assert house.run("status", "-o", "json").returncode == 0
        assert running.stop() == 0
        assert "login" not in running.stdout


def test_a_pass_imports_nothing_of_it(house: House) -> None:
    program = (
        "import sys\n"
        "from reconciler.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in"
        " ('fastapi', 'starlette', 'uvicorn', 'websockets', 'h11', 'prometheus_client')"
        " or m.startswith('reconciler.api')]\n"
        "print(code, bad)\n"
    )
    words = [sys.executable, "-c", program, "--config", str(house.config()), "--once", str(house.watchers)]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_without_the_extra_it_says_what_to_install(house: House) -> None:
    program = (
        "import sys, importlib.util as u\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name in ('uvicorn', 'fastapi') else found(name, *more)\n"
        "from reconciler.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = [sys.executable, "-c", program, "--config", str(house.config()), "serve", str(house.watchers)]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ, timeout=60)
    assert done.returncode == 4
    assert "`serve` needs fastapi, uvicorn" in done.stderr
    assert "pip install 'reconciler[api]'" in done.stderr


# --- keys ------------------------------------------------------------------------------------------------------------


def test_keys_are_made_listed_and_withdrawn(house: House) -> None:
    token = key(house, "ci", "--scope", "write", "--expires", "90d", "--actions", "log_event,store_metric")
    assert re.fullmatch(r"rk_[0-9a-f]{12}_\S{43}", token)
    listed = house.run("apikey", "list", "-o", "json").stdout
    assert '"name": "ci"' in listed
    assert '"actions": "log_event,store_metric"' in listed
    assert token[-20:] not in listed
    assert house.run("apikey", "create", "ci").returncode == 64
    assert house.run("apikey", "revoke", "ci").stdout.startswith("revoked key")
    assert house.run("apikey", "revoke", "ci").returncode == 64
    link = house.run("apikey", "link")
    assert re.fullmatch(r"/login\?token=rk_\S+\n", link.stdout)


@pytest.mark.parametrize(
    "words",
    [("x", "--expires", "soon"), ("x", "--actions", "nothing"), ("x", "--scope", "all"), ("",), ("a\nb",), ("x" * 81,)],
    ids=str,
)
def test_keys_that_cannot_be_are_refused(house: House, words: tuple[str, ...]) -> None:
    assert house.run("apikey", "create", *words).returncode == 64
    assert not (house.home / "apikeys.json").exists()
