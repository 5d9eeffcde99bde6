"""Shows problems of files: with the line and a caret for people, as GitHub annotations, JUnit and SARIF for CI.

Formats: https://docs.github.com/actions/reference/workflow-commands-for-github-actions,
https://github.com/testmoapp/junitxml, https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol, TextIO
from urllib.parse import quote

from reconciler import __version__
from reconciler.cli.output import Output, emit
from reconciler.cli.text import paint, safe
from reconciler.errors import Problem

#: Characters of a line that are shown before and behind the place.
_AROUND = 70


class Read(Protocol):
    """A file that was checked."""

    @property
    def path(self) -> str: ...  # noqa: D102 - its name says it
    @property
    def lines(self) -> Sequence[str]: ...  # noqa: D102 - its name says it
    @property
    def specs(self) -> Sequence[object]: ...  # noqa: D102 - its name says it


def show(problems: Sequence[Problem], files: Sequence[Read], output: str, *, stream: TextIO | None = None) -> None:
    """Write the problems of `files` as `output` says."""
    stream = stream or sys.stdout
    counts = {
        "files": len(files),
        "watchers": sum(len(file.specs) for file in files),
        "errors": sum(problem.severity == "error" for problem in problems),
        "warnings": sum(problem.severity == "warning" for problem in problems),
    }
    if output == Output.TABLE:
        _for_people(problems, {file.path: file.lines for file in files}, counts, stream)
    elif output == "github":
        stream.writelines(annotation(problem) + "\n" for problem in problems)
    elif output == "junit":
        stream.write(_junit(problems, files))
    elif output == "sarif":
        import json

        stream.write(json.dumps(_sarif(problems), indent=2) + "\n")
    else:
        emit([asdict(problem) for problem in problems], (), output, name="problems", extra=counts, stream=stream)


# --- people ----------------------------------------------------------------------------------------------------------


def _for_people(
    problems: Sequence[Problem], lines: Mapping[str, Sequence[str]], counts: Mapping[str, int], stream: TextIO
) -> None:
    for problem in problems:
        place = ":".join(str(part) for part in (problem.file, problem.line, problem.column) if part)
        colour = "red" if problem.severity == "error" else "yellow"
        stream.write(
            f"{safe(place)}: {paint(f'{problem.severity}[{problem.code}]', colour, stream)} {safe(problem.message)}\n"
        )
        source = lines.get(problem.file, ())
        if 0 < problem.line <= len(source):
            stream.write(snippet(source[problem.line - 1], problem.line, problem.column))
        stream.write(f"  {paint('remedy:', 'green', stream)} {safe(problem.remedy)}\n\n")
    errors, doubts = counts["errors"], counts["warnings"]
    found = f"{_count(errors, 'error')}, {_count(doubts, 'warning')}" if errors or doubts else "nothing to complain of"
    stream.write(f"{_count(counts['files'], 'file')}, {_count(counts['watchers'], 'watcher')}: {found}\n")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def snippet(line: str, number: int, column: int) -> str:
    """Return the line with a caret below `column` (from 1); a long line is cut to what is around it."""
    at = max(column - 1, 0)
    start = max(at - _AROUND, 0)
    before, behind = safe(line[start:at]), safe(line[at : at + _AROUND].rstrip("\r"))
    lead = "…" if start else ""
    margin = " " * len(str(number))
    return f"  {number} | {lead}{before}{behind}\n  {margin} | {' ' * (len(lead) + len(before))}^\n"


# --- CI --------------------------------------------------------------------------------------------------------------


def annotation(problem: Problem) -> str:
    """Return the workflow command that GitHub shows beside the line of a problem."""
    kind = "error" if problem.severity == "error" else "warning"
    where = {"file": problem.file, "line": problem.line or "", "col": problem.column or "", "title": problem.code}
    fields = ",".join(f"{key}={escaped(str(value), more=True)}" for key, value in where.items() if value)
    return f"::{kind} {fields}::{escaped(f'{problem.message} ({problem.remedy})')}"


def escaped(text: str, *, more: bool = False) -> str:
    """Escape what ends a workflow command, or one of its fields, so that no file can begin another."""
    pairs = [("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), *([(":", "%3A"), (",", "%2C")] if more else [])]
    for plain, escape in pairs:
        text = text.replace(plain, escape)
    return text


def _junit(problems: Sequence[Problem], files: Sequence[Read]) -> str:
    """Return one test case a file; an error is a failure, a warning is told in its output."""
    from xml.etree import ElementTree

    failed = {problem.file for problem in problems if problem.severity == "error"}
    suite = ElementTree.Element(
        "testsuite", name="reconcile validate", tests=str(len(files)), failures=str(len(failed)), errors="0"
    )
    for file in files:
        case = ElementTree.SubElement(suite, "testcase", classname="watchers", name=safe(file.path))
        for problem in problems:
            if problem.file != file.path:
                continue
            text = safe(str(problem))
            if problem.severity == "error":
                ElementTree.SubElement(case, "failure", message=text, type=problem.code).text = text
            else:
                ElementTree.SubElement(case, "system-out").text = text
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _sarif(problems: Sequence[Problem]) -> dict[str, Any]:
    codes = sorted({problem.code for problem in problems})
    driver = {"name": "reconcile validate", "version": __version__, "rules": [{"id": code} for code in codes]}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_sarif_result(problem, codes) for problem in problems]}],
    }


def _sarif_result(problem: Problem, codes: Sequence[str]) -> dict[str, Any]:
    region = {"startLine": problem.line, "startColumn": problem.column} if problem.line and problem.column else {}
    place = {
        "artifactLocation": {"uri": quote(problem.file, errors="surrogateescape")},
        **({"region": region} if region else {}),
    }
    return {
        "ruleId": problem.code,
        "ruleIndex": codes.index(problem.code),
        "level": "error" if problem.severity == "error" else "warning",
        "message": {"text": f"{problem.message}. {problem.remedy}"},
        "locations": [{"physicalLocation": place}],
    }
