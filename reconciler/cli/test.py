"""`reconcile test`: runs the tests that stand beside watchers; no action runs, no host is reached."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.output import Column, Form, emit, output_option, report
from reconciler.cli.text import safe
from reconciler.cli.yaml_files import content_of
from reconciler.errors import ExitCode, Problem, ReconcilerError, SpecError, UsageError, worst

if TYPE_CHECKING:
    from reconciler.logic.simulate import Simulation
    from reconciler.spec.testfile import Expected, WatcherTest
    from reconciler.spec.watcher import WatcherSpec

COLUMNS = (Column("result", form=Form.STATE), Column("file"), Column("test"), Column("watcher"), Column("difference"))
#: Matches and actions that a first test holds, and those that are told of a list that is longer or shorter.
MOST_KEPT, MOST_SHOWN = 20, 5
_EPILOG = """\
\b
Examples:
  reconcile test ./watchers.d
  reconcile test ./watchers.d/examples --junit report.xml
  reconcile test ./watchers.d/loss.yaml --from-log slurm-4711.out > ./watchers.d/loss.test.yaml
"""


@dataclass(slots=True)
class Result:
    """One test: `differences` empty where it passed. With an `error`, a file: `test` and `watcher` are empty."""

    file: str
    test: str
    watcher: str
    differences: list[str] = field(default_factory=list)
    seconds: float = 0.0
    error: ReconcilerError | None = None  # why no test of the file can be run


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Also write a JUnit report.")
@click.option(
    "--from-log",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Print a first test of the watchers in PATH from this output.",
)
@output_option()
def command(paths: tuple[Path, ...], junit: Path | None, from_log: Path | None, output: str) -> ExitCode:
    """Run `*.test.yaml` files (all of a directory, or those named): an output, and what watchers must make of it."""
    if from_log is not None:
        click.echo(_first_test(paths[0], from_log), nl=False)
        return ExitCode.OK
    results = _results(paths)
    failed = [result for result in results if result.differences]
    rows = [_row(result) for result in results]
    if output == "table":  # all of them stand below it
        rows = [{**row, "difference": _counted(r.differences)} for row, r in zip(rows, results, strict=True)]
    emit(
        rows,
        COLUMNS,
        output,
        name="tests",
        extra={"failed": len(failed), "untested": _untested(paths, results)},
    )
    if output == "table":
        _tell(paths, results, failed)
    if junit is not None:
        _save(junit, _junit(results))
    for result in failed:
        if result.error is not None:
            report(result.error)
    return worst([result.error.exit_code if result.error else ExitCode.ERROR for result in failed])


def _results(paths: Sequence[Path]) -> list[Result]:
    """Run all tests; a file that cannot be used, of tests or of watchers, is a result of its own and stops no other."""
    files = _test_files(paths)
    if not files:
        none = UsageError(
            "there is no *.test.yaml here", remedy="`reconcile test FILE --from-log OUTPUT` writes a first one"
        )
        if not all(path.is_dir() for path in paths):
            raise none
        report(none)
    results: list[Result] = []
    for file in files:
        try:
            results.extend(_run_file(file))
        except (SpecError, UsageError) as error:
            results.append(_unusable(file, error))
    known = {difference for result in results for difference in result.differences}
    for file in _watcher_files(paths):
        try:
            _specs(file)
        except SpecError as error:
            results += [bad for bad in [_unusable(file, error)] if known.isdisjoint(bad.differences)]
    return results


def _unusable(file: Path, error: ReconcilerError) -> Result:
    differences = [str(problem) for problem in error.problems] if isinstance(error, SpecError) else [error.message]
    return Result(str(file), "", "", differences, error=error)


def _save(path: Path, report: bytes) -> None:
    try:
        path.write_bytes(report)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", remedy="name another file") from error


def _test_files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted([*path.glob("*.test.yaml"), *path.glob("*.test.yml")])
        elif ".test." in path.name:
            found.append(path)
        else:
            found += [each for each in (path.with_suffix(f".test{path.suffix}"),) if each.exists()]
    return found


def _run_file(path: Path) -> Iterator[Result]:
    from reconciler.spec.faults import Places
    from reconciler.spec.load import validated
    from reconciler.spec.testfile import WatcherTests
    from reconciler.spec.yaml import parse

    parsed = parse(content_of(path))
    problems = [Problem(str(path), f.line, f.column, f.code, f.message, f.remedy, f.value) for f in parsed.flaws]
    if problems or not parsed.documents:
        raise SpecError(
            problems or [Problem(str(path), 0, 0, "empty", "no test stands here", "write one, or delete the file")]
        )
    document = parsed.documents[0]
    places = Places(document.place)
    tests, faults = validated(document.value, places, WatcherTests, document.written)
    if tests is None:
        raise SpecError([places.problem(fault, file=str(path)) for fault in faults])
    specs = _specs(path.parent / (tests.watchers or path.name.replace(".test.", ".")))
    for test in tests.tests:
        yield _run_test(path, test, specs)


def _specs(path: Path) -> dict[str, WatcherSpec]:
    from reconciler import app  # saves start-up time: it knows every class

    if not path.is_file():
        raise UsageError(f"there is no {path} to test", remedy="name it with `watchers:` in the test file")
    loaded = app.parse(content_of(path), str(path), lean=True)
    if not loaded.good:
        raise SpecError(loaded.problems)
    return {located.spec.name: located.spec for located in loaded.specs}


def _run_test(path: Path, test: WatcherTest, specs: dict[str, WatcherSpec]) -> Result:
    started = time.perf_counter()
    name = test.watcher or (next(iter(specs)) if len(specs) == 1 else "")
    result = Result(str(path), test.name, name)
    if name not in specs:
        result.differences.append(f"there is no watcher {name!r}" if name else "which watcher? name it with `watcher:`")
        return result
    simulation = _simulate(path, test, specs[name])
    result.differences += differences(test.expect, simulation)
    result.seconds = time.perf_counter() - started
    return result


def _simulate(path: Path, test: WatcherTest, spec: WatcherSpec) -> Simulation:
    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.logic.compiled import compile_spec
    from reconciler.logic.simulate import simulate

    output = (test.output or "").encode()
    if test.file is not None:
        place = (path.parent / test.file).resolve()
        if not place.is_relative_to(path.parent.resolve()):
            raise UsageError(
                f"{path}: {test.file} lies outside of its directory", remedy="keep outputs beside the tests"
            )
        if not place.is_file():
            raise UsageError(
                f"{path}: there is no {test.file}", remedy="put the output beside the test, or use `output:`"
            )
        output = place.read_bytes()
    kinds, _ = app.make_actions(app.default_settings())
    compiled, errors = compile_spec(spec, "test", kinds), (test.errors or "").encode()
    return simulate(compiled, app.job_of(test.job), output, errors, after=test.after)


def differences(expect: Expected, got: Simulation) -> list[str]:
    """Return what is not as expected, in words."""
    found = []
    if expect.triggers is not None and got.watcher.trigger_count != expect.triggers:
        found.append(f"triggers: expected {expect.triggers}, got {got.watcher.trigger_count}")
    if expect.state is not None and got.watcher.state != expect.state:
        found.append(f"state: expected {expect.state}, got {got.watcher.state}")
    for name, value in (expect.variables or {}).items():
        if got.watcher.variables.get(name) != value:
            found.append(f"variable {name}: expected {value!r}, got {got.watcher.variables.get(name)!r}")
    if expect.matches is not None:
        found += _compare("match", [_wanted(m) for m in expect.matches], [_seen(m) for m in got.matches])
    if expect.actions is not None:
        wanted = [{"type": a.type, **a.params} for a in expect.actions]
        found += _compare("action", wanted, [{"type": a.type, **a.params} for a in got.actions])
    return found


def _wanted(match: Any) -> dict[str, Any]:
    fields = {"text": match.text, "line": match.line}
    return {key: value for key, value in fields.items() if value is not None} | dict(match.captures)


def _seen(match: Any) -> dict[str, Any]:
    groups = {str(number): value for number, value in enumerate(match.groups, 1)}
    return {"text": match.text, "line": match.line, **groups, **match.captures}


def _compare(what: str, wanted: list[dict[str, Any]], got: list[dict[str, Any]]) -> list[str]:
    """Compare two lists, of each pair only the keys that are expected."""
    found = [
        f"{what} {number}: {key}: expected {value!r}, got {have.get(key)!r}"
        for number, (want, have) in enumerate(zip(wanted, got, strict=False), 1)
        for key, value in want.items()
        if have.get(key) != value
    ]
    if len(wanted) == len(got):
        return found
    missing = [want for want in wanted if not any(_fits(want, have) for have in got)]
    extra = [have for have in got if not any(_fits(want, have) for want in wanted)]
    # one that is missing moves all behind it, so pairs say nothing
    return [
        f"{what} list: expected {len(wanted)}, got {len(got)}",
        *(f"{what} missing: {_shown(each)}" for each in missing[:MOST_SHOWN]),
        *(f"{what} not expected: {_shown(each)}" for each in extra[:MOST_SHOWN]),
    ]


def _fits(want: Mapping[str, Any], have: Mapping[str, Any]) -> bool:
    return all(have.get(key) == value for key, value in want.items())


def _shown(each: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value!r}" for key, value in each.items() if not key.isdigit())


def _row(result: Result) -> dict[str, Any]:
    return {
        "result": "failed" if result.differences else "ok",
        "file": result.file,
        "test": result.test,
        "watcher": result.watcher,
        "difference": "; ".join(result.differences),
        "seconds": round(result.seconds, 4),
    }


def _counted(differences: Sequence[str]) -> str:
    if len(differences) < 2:
        return "".join(differences)
    return f"{differences[0]} (and {len(differences) - 1} more)"


def _untested(paths: Sequence[Path], results: Sequence[Result]) -> list[str]:
    """Return the watchers of these files and directories that no test runs."""
    tested = {result.watcher for result in results}
    found: list[str] = []
    for file in _watcher_files(paths):
        with suppress(SpecError):  # which is a result of its own
            found += [name for name in _specs(file) if name not in tested]
    return found


def _watcher_files(paths: Sequence[Path]) -> list[Path]:
    from reconciler.sources.files import accepted

    files = [path for path in paths if path.is_file() and accepted(path.name)]
    return files + [each for path in paths if path.is_dir() for each in sorted(path.iterdir()) if accepted(each.name)]


def _tell(paths: Sequence[Path], results: Sequence[Result], failed: Sequence[Result]) -> None:
    for result in failed:
        for difference in result.differences if result.error is None else ():
            click.echo(safe(f"  {result.test}: {difference}"), err=True)
    untested = _untested(paths, results)
    tested = len({result.watcher for result in results if result.watcher})
    click.echo(
        f"{len(results) - len(failed)} passed, {len(failed)} failed; {tested} of {tested + len(untested)} watchers"
    )
    if untested:
        click.echo(safe(f"without a test: {', '.join(untested)}"), err=True)


def _junit(results: Sequence[Result]) -> bytes:
    """Return JUnit XML (https://github.com/testmoapp/junitxml describes the shape that CI systems read)."""
    from xml.etree import ElementTree as xml

    suite = xml.Element("testsuite", name="reconcile test", tests=str(len(results)))
    suite.set("failures", str(sum(bool(result.differences) for result in results)))
    for result in results:
        names = {"classname": safe(result.file), "name": safe(result.test)}
        case = xml.SubElement(suite, "testcase", names, time=f"{result.seconds:.4f}")
        if result.differences:
            differences = [safe(each) for each in result.differences]  # XML has no form for control characters
            xml.SubElement(case, "failure", message=differences[0]).text = "\n".join(differences)
    root = xml.Element("testsuites")
    root.append(suite)
    return bytes(xml.tostring(root, encoding="utf-8", xml_declaration=True))


def _first_test(path: Path, log: Path) -> str:
    """Return a test file with what the watchers of `path` make of an output now, for a person to read."""
    import io

    from ruamel.yaml import YAML

    from reconciler import app  # saves start-up time: it knows every class
    from reconciler.logic.compiled import compile_spec
    from reconciler.logic.simulate import simulate
    from reconciler.spec.testfile import SampleJob

    if path.is_dir() or ".test." in path.name:
        raise UsageError(f"{path} is no file of watchers", remedy="name the one whose first test is to be written")
    kinds, _ = app.make_actions(app.default_settings())
    tests = []
    for name, spec in _specs(path).items():
        got = simulate(compile_spec(spec, "test", kinds), app.job_of(SampleJob(state="completed")), log.read_bytes())
        body = {"name": f"{name} on {log.name}", "watcher": name, "file": log.name, "job": {"state": "completed"}}
        tests.append({**body, "expect": _expected(got)})
    text = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.representer.sort_base_mapping_type_on_output = False
    yaml.dump({"watchers": path.name, "tests": tests}, text)
    return f"# Copy {log.name} beside this file, and keep of `expect` what matters.\n{text.getvalue()}"


def _expected(got: Simulation) -> dict[str, Any]:
    """Return what a first test expects; of many matches and actions, what the last of them left."""
    expect: dict[str, Any] = {"triggers": got.watcher.trigger_count, "state": str(got.watcher.state)}
    if len(got.matches) > MOST_KEPT or len(got.actions) > MOST_KEPT:
        named = {name: value for name, value in got.watcher.variables.items() if not name.isdigit()}
        return expect | ({"variables": named} if named else {})
    expect["matches"] = [{"line": m.line, "text": m.text, "captures": dict(m.captures)} for m in got.matches]
    expect["actions"] = [{"type": action.type, "params": dict(action.params)} for action in got.actions]
    return expect
