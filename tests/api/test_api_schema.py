"""Schemathesis over the whole schema, with and without a key: no fault of ours, no status that is not documented.

Bounded: so many requests for each operation; RECONCILER_CAMPAIGN=long makes it a campaign.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from parts.house import House, Jobs
from parts.served import Served, serving
from schemathesis.checks import CheckFunction
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES = 200 if os.environ.get("RECONCILER_CAMPAIGN") == "long" else 12


@pytest.fixture
async def open_house(tmp_path: Path) -> AsyncIterator[Served]:
    """A served house with jobs and watchers, that lets anybody ask as often as they like."""
    house = House(tmp_path, api={"stranger_burst": 10**6, "requests_per_minute": 10**6})
    house.scheduler = Jobs(house.outputs)
    house.scheduler.add("1").write_text("hit\nloss: 1\n")
    async with serving(house) as served:
        await served.create("w")
        yield served


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("key", ["admin", None])
async def test_any_request_gets_a_documented_answer(open_house: Served, key: str | None) -> None:
    schema = await open_house.get("/openapi.json")
    headers = {"Authorization": f"Bearer {open_house.keys[key]}"} if key else {}
    asked = await asyncio.to_thread(_campaign, schema, open_house.url, headers)
    assert asked >= 27
    assert (await open_house.http.get("/readyz")).status_code == 200


async def test_a_campaign_finds_what_is_not_documented(open_house: Served) -> None:
    schema = await open_house.get("/openapi.json")
    paths = {"/api/watchers": schema["paths"]["/api/watchers"]}
    del paths["/api/watchers"]["get"]["responses"]["401"]
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        await asyncio.to_thread(_campaign, {**schema, "paths": paths}, open_house.url, {})


async def test_every_operation_says_what_any_request_can_be_answered(open_house: Served) -> None:
    schema = await open_house.get("/openapi.json")
    anywhere = {"400", "401", "403", "405", "408", "413", "421", "422", "429", "431", "503"}
    async with open_house.client(open_house.keys["admin"]) as admin:
        for path, item in schema["paths"].items():
            for method, operation in item.items():
                assert anywhere <= set(operation["responses"]), (method, path)
            assert (await admin.patch(path.replace("{watcher_id}", "1"))).status_code == 405, path


async def test_a_wrong_method_is_answered_with_all_that_are_right(open_house: Served) -> None:
    schema = await open_house.get("/openapi.json")
    async with open_house.client(open_house.keys["admin"]) as admin:
        for path, item in schema["paths"].items():
            answer = await admin.patch(path.replace("{watcher_id}", "1"))
            allowed = {method.strip().lower() for method in answer.headers["allow"].split(",")}
            assert allowed >= item.keys(), path
        assert set((await admin.patch("/api/watchers/1")).headers["allow"].split(", ")) == {"GET", "PUT", "DELETE"}


@pytest.mark.parametrize("sent", ["application/x-www-form-urlencoded", "text/plain", ""])
async def test_json_that_is_not_called_so_is_refused_with_what_to_call_it(open_house: Served, sent: str) -> None:
    body = '{"yaml": "name: x"}'
    for method, path in (("POST", "/api/watchers"), ("PUT", "/api/watchers/1"), ("POST", "/api/validate")):
        answer = await open_house.http.request(method, path, content=body, headers={"Content-Type": sent})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
        assert "Content-Type: application/json" in answer.json()["remedy"]
    answer = await open_house.http.post("/api/watchers", json=[])
    assert "remedy" not in answer.json()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/api/watchers/", "/api/session/", "/api/jobs/1/", "/readyz/"])
async def test_an_address_with_a_slash_too_many_is_none(open_house: Served, method: str, path: str) -> None:
    answer = await open_house.http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def _campaign(schema: object, url: str, headers: dict[str, str]) -> int:
    """Ask every operation for generated things; return how many operations there are."""
    loaded = schemathesis.openapi.from_dict(schema)  # type: ignore[arg-type]
    loaded.config.update(base_url=url)
    checks: list[CheckFunction] = [
        schemathesis.checks.not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    count = 0
    for result in loaded.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]  # a fault of the schema would be one of ours
        count += 1
        cases = operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

        @hypothesis.settings(
            max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
        )
        @hypothesis.given(case=cases)
        def ask(case: Any) -> None:
            response = case.call(headers=headers)
            case.validate_response(response, checks=checks)

        ask()
    return count
