"""Bodies and paths of requests that try to run something, to leave a directory, or to take more than is allowed.

They go to a real server with a key that may write. What is accepted at all is written as a watcher's file and runs over
a job's output; a program called `forbidden` leaves a canary if anything ever starts it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from parts.core import LOG
from parts.house import House
from parts.served import Served, serving
from parts.waiting import eventually

RUN = "run_command"


def command(line: str) -> dict[str, Any]:
    return {"actions": [{"type": RUN, "params": {"command": line}}]}


#: Changes to a good body. All are refused.
REFUSED: list[dict[str, Any]] = [
    {"job_id": "1;forbidden"}, {"job_id": "$(forbidden)"}, {"job_id": "`forbidden`"}, {"job_id": "-rf"},
    {"job_id": "../1"}, {"job_id": "1\nforbidden"}, {"job_id": "1 2"}, {"job_id": ""}, {"job_id": ["1"]},
    {"job_id": "1\u0000"}, {"job_id": "\uff11"}, {"job_id": "1_4/../.."}, {"job_id": "9" * 5000},
    {"hostname": "-oProxyCommand=forbidden"}, {"hostname": "a b"}, {"hostname": "$(forbidden)"},
    {"hostname": "localhost;forbidden"}, {"hostname": "../localhost"}, {"hostname": "elsewhere"},
    {"name": "a\nb"}, {"name": "\u001b[2J"}, {"name": ""}, {"name": "n" * 2000}, {"name": {"$ne": 1}},
    {"pattern": "(?{forbidden})"}, {"pattern": "x" * 1001}, {"pattern": ["hit"]}, {"pattern": None},
    {"condition": "__import__('os').system('forbidden')"}, {"condition": "().__class__"}, {"condition": "x" * 501},
    {"actions": []}, {"actions": "forbidden"}, {"actions": [{"type": "shell", "params": {"command": "forbidden"}}]},
    {"actions": [{"type": RUN}]}, {"actions": [{"type": RUN, "params": {"command": ["sh", "-c", "forbidden"]}}]},
    {"actions": [{"type": RUN, "params": {"command": "ls", "env": {"PATH": "/evil"}}}]},
    {"actions": [{"type": RUN, "params": {"command": "ls", "shell": True}}]},
    {"actions": [{"type": "log_event", "params": {"message": "x" * 11_000}}]},
    {"actions": [{"type": "notify_slack", "params": {"webhook": "http://evil"}}]},
    {"actions": [{"type": "notify", "params": {"urls": ["json://evil"]}}]},
    {"actions": [{"type": "notify_email", "params": {"to": "-oQ/tmp/x"}}]},
    {"actions": [{"type": "signal_job", "params": {"signal": "9; forbidden"}}]},
    {"actions": [{"type": "resubmit", "params": {"modifications": {"--wrap": "forbidden"}}}]},
    {"interval_seconds": -1}, {"interval_seconds": "1; forbidden"}, {"max_triggers": 10**30},
    {"__class__": "x"}, {"constructor": {"prototype": {}}}, {"mode": "root"}, {"suspend": {"until": "$(forbidden)"}},
    command("ls\nforbidden"), command("ls & forbidden"), command("ls || forbidden"), command("echo `forbidden`"),
    command("echo $((a[$(forbidden)]))"), command("cat <(forbidden)"), command("x=1 forbidden"), command(""),
]  # fmt: skip

#: What is a command of a good shape, and more than a watcher from the API may run.
NOT_ALLOWED = [
    "forbidden", "echo $(forbidden)", "ls | forbidden", "ls && forbidden", "ls; forbidden", "env forbidden",
    "python -c 'import os; os.system(\"forbidden\")'", "python code.py", "uv run forbidden", "uvx forbidden",
    "pip install ./forbidden", "find . -exec forbidden ';'", "find . -delete", "echo x > ../canary",
    "cp log.txt ../canary", "touch /tmp/canary-of-a-test", "tail -f log.txt", "sh -c forbidden",
]  # fmt: skip


@pytest.fixture
def home_with_forbidden(tmp_path: Path) -> Path:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "forbidden").write_text(f"#!/bin/sh\n: > {tmp_path}/canary\n")
    (tools / "forbidden").chmod(0o755)
    return tmp_path


def house_in(home: Path) -> House:
    house = House(home, actions={RUN: {"path": f"{home}/tools:/usr/bin:/bin"}})
    jobs = house.with_jobs()
    house.clock = None
    (home / "work").mkdir()
    (home / "work" / "log.txt").write_text("x\n")
    jobs.add(workdir=str(home / "work")).write_text("hit\n")
    return house


async def test_a_hostile_body_is_refused_and_leaves_nothing(home_with_forbidden: Path) -> None:
    house = house_in(home_with_forbidden)
    async with serving(house) as served:
        good = {"job_id": "1", "hostname": "localhost", "name": "w", "pattern": "hit", "actions": [LOG]}
        for change in REFUSED:
            answer = await served.http.post("/api/watchers", content=json.dumps({**good, **change}))
            assert 400 <= answer.status_code < 500, (change, answer.status_code, answer.text[:300])
            assert "Traceback" not in answer.text
        assert await served.get("/api/watchers") == {**await served.get("/api/watchers"), "watchers": []}
    assert not (home_with_forbidden / "canary").exists()


async def test_no_command_of_a_request_does_more_than_is_allowed(home_with_forbidden: Path) -> None:
    house = house_in(home_with_forbidden)
    async with serving(house) as served:
        made = 0
        for number, line in enumerate(NOT_ALLOWED):
            body = {"job_id": "1", "hostname": "localhost", "name": f"w{number}", "pattern": "hit", **command(line)}
            answer = await served.http.post("/api/watchers", json=body)
            assert answer.status_code < 500, answer.text
            made += answer.status_code == 201
        refused = ("action.refused", "action.failed")
        await eventually(lambda: len(house.events(*refused)) >= made)
        assert house.events("action.succeeded") == ()
    assert not (home_with_forbidden / "canary").exists()
    assert not Path("/tmp/canary-of-a-test").exists()


PATHS = [
    "/api/jobs/1;forbidden/watchers", "/api/jobs/$(forbidden)/output", "/api/jobs/..%2f..%2fetc/output",
    "/api/jobs/1/output?path=/etc/passwd", "/api/jobs/1/output?stream=../../etc/passwd", "/api/jobs/%00/output",
    "/api/jobs/1%0aforbidden", "/api/watchers/1;forbidden", "/api/watchers/99999999999999999999999",
    "/api/watchers/-1", "/api/metrics/1/..%2f..%2fx", "/api/templates/..%2f..%2fetc%2fpasswd",
    "/api/templates/....//x", "/static/..%2f..%2fapikeys.json", "/..%2fstate.db", "/%2e%2e/state.db",
    "/api/jobs?host=$(forbidden)", "/api/jobs/1/output/search?pattern=(a%2B)%2B%24",
    "/api/watchers/events?limit=1e9", "/api/watchers/events?after=forbidden",
]  # fmt: skip


async def test_a_path_or_query_is_data(served: Served) -> None:
    for path in PATHS:
        answer = await served.http.send(httpx.Request("GET", served.url + path, headers=served.http.headers))
        assert answer.status_code in (200, 400, 401, 404, 405, 409, 422), (path, answer.status_code, answer.text[:300])
        for secret in ("root:x:0", "SQLite format", "Traceback", "PRIVATE KEY"):
            assert secret not in answer.text
