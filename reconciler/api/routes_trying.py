"""Routes to try things out: validation, and the production matcher on a sample. They change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter

from reconciler.api.desk import TRYING, Desk
from reconciler.api.refusals import RequestRefusedError, documented, flaw_of, flawed
from reconciler.api.reports import (
    MatchShape,
    PatternTestBody,
    PatternTested,
    ValidateBody,
    Validated,
)
from reconciler.api.routes_jobs import look_at_end
from reconciler.api.shaping import clean
from reconciler.logic.compiled import compile_spec
from reconciler.logic.expression import Tier, check
from reconciler.logic.simulate import Simulation, simulate
from reconciler.logic.syntax import parse
from reconciler.model import LOCALHOST, Job, JobId, JobState
from reconciler.spec.watcher import WatcherSpec

#: Bytes of a job's output that a pattern is tried on.
SAMPLE_BYTES = 512 * 1024


def routes(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api", tags=["trying"], responses=documented())

    @router.post("/validate")
    async def check_file(body: ValidateBody) -> Validated:
        """Check a file of watchers: everything that is wrong, at its line and column."""
        async with desk.trying:
            return await asyncio.to_thread(_validated, desk, body)

    @router.post("/patterns/test")
    async def try_pattern(body: PatternTestBody) -> PatternTested:
        """Try a pattern on a text, or on the end of a job's output, with the matcher that watches jobs."""
        spec = _spec(desk, body)
        sample = await _sample(desk, body)
        kinds = desk.parts.kinds
        job = Job(LOCALHOST, JobId("0"), "sample", "sample", JobState.RUNNING)

        def run() -> PatternTested:
            found = simulate(compile_spec(spec, "sample", kinds), job, sample, budget=TRYING)
            return _tested(found, body.limit, how_run(spec.expressions()))

        async with desk.trying:
            return await asyncio.to_thread(run)

    return router


def _validated(desk: Desk, body: ValidateBody) -> Validated:
    try:
        content = body.yaml.encode()
    except UnicodeEncodeError as error:
        raise RequestRefusedError(422, "no-text", "the text holds half a character") from error
    loaded = desk.tools.parse(content, body.name)
    errors = [problem for problem in loaded.problems if problem.severity == "error"]
    doubts = [problem for problem in loaded.problems if problem.severity != "error"]
    for located in loaded.specs:
        doubts += [*desk.tools.warnings(located, body.name), *desk.tools.forbidden(located, body.name, "api:")]
    return Validated(
        valid=not errors,
        watchers=[located.spec.name for located in loaded.specs],
        errors=[flaw_of(problem) for problem in errors],
        warnings=[flaw_of(problem) for problem in doubts],
    )


def _spec(desk: Desk, body: PatternTestBody) -> WatcherSpec:
    """Return a watcher of this pattern that records every match; refused where the production loader refuses it."""
    from reconciler.api.editing import new_text

    asked = {"pattern": body.pattern, "patterns": {"any": body.any} if body.any is not None else None}
    asked["preset"] = body.preset
    written: dict[str, Any] = {
        "name": "sample",
        **{key: value for key, value in asked.items() if value is not None},
        "captures": body.captures,
        "multiline": body.multiline,
        "every_nth_line": body.every_nth_line,
        "ignore_pattern_echo": body.ignore_pattern_echo,
        **({"condition": body.condition} if body.condition is not None else {}),
        "actions": [{"type": "log_event", "params": {"message": "$0"}}],
    }
    try:
        text = new_text(written)
    except ValueError as error:
        raise RequestRefusedError(422, "no-text", "the pattern holds half a character") from error
    loaded = desk.tools.parse(text.encode(), "pattern")
    if not loaded.good:
        raise flawed(loaded.problems, "the pattern is not valid")
    return loaded.specs[0].spec


async def _sample(desk: Desk, body: PatternTestBody) -> bytes:
    if (body.text is None) == (body.job_id is None):
        raise RequestRefusedError(422, "one-sample", "give either `text` or `job_id`")
    if body.text is not None:
        return body.text.encode("utf-8", "replace")
    known = desk.job(str(body.job_id), body.hostname)
    path = known.now.stderr if body.stream == "stderr" else known.now.stdout
    return (await look_at_end(desk, known, path, SAMPLE_BYTES)).data if path else b""


def how_run(expressions: Sequence[str]) -> dict[str, Any]:
    """Return how patterns are run, the slowest of them, and the names of their groups (of one pattern alone)."""
    order = (Tier.HYPERSCAN, Tier.RE2, Tier.FALLBACK)
    infos = [check(expression) for expression in expressions]
    worst = max(infos, key=lambda info: (info.slow, order.index(info.tier)))
    names = {number: name for name, number in parse(expressions[0]).names.items()} if len(expressions) == 1 else {}
    return {
        "tier": worst.tier.value,
        "reason": worst.reason,
        "slow": worst.slow,
        "matches_empty": any(info.matches_empty for info in infos),
        "groups": [names.get(number) for number in range(1, infos[0].groups + 1)] if len(infos) == 1 else [],
    }


def _tested(found: Simulation, limit: int, how: Mapping[str, Any]) -> PatternTested:
    matches = [
        MatchShape(
            text=clean(match.text), line=match.line, offset=match.offset, groups=list(match.groups),
            captures=dict(match.captures),
        )
        for match in found.matches[:limit]
    ]  # fmt: skip
    return PatternTested(
        matches=matches,
        count=len(found.matches),
        bytes=found.looked,
        problems=list(dict.fromkeys(found.problems))[:20],
        **how,
    )
