"""The figures that the code lives within: sizes of files and functions, cycles, broad handlers, lines of test."""

from __future__ import annotations

import ast
import graphlib
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
LARGEST_FILE, MEDIAN_FILE = 400, 150
MEDIAN_FUNCTION, NINE_IN_TEN_FUNCTIONS = 9, 35
BROAD_IN_1000_LINES = 0.3
TEST_LINES_PER_CODE_LINE = 0.9

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def sources(folder: str = "reconciler") -> tuple[Path, ...]:
    """Return the Python files of a folder; links to folders outside are not followed."""
    return tuple(sorted((ROOT / folder).rglob("*.py")))


@cache
def lines(file: Path) -> tuple[str, ...]:
    return tuple(file.read_text(encoding="utf-8").splitlines())


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def functions(file: Path) -> Iterator[tuple[str, int]]:
    """Yield name and number of lines (docstring included, decorators not) of every function and method."""
    for node in ast.walk(tree(file)):
        if isinstance(node, Function):
            yield f"{name(file)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_file_is_too_long() -> None:
    assert {name(file): len(lines(file)) for file in sources() if len(lines(file)) > LARGEST_FILE} == {}


def test_the_median_file_is_short() -> None:
    assert statistics.median(len(lines(file)) for file in sources()) <= MEDIAN_FILE


def test_the_median_function_is_short() -> None:
    assert statistics.median(size for file in sources() for _, size in functions(file)) <= MEDIAN_FUNCTION


def test_nine_in_ten_functions_are_not_long() -> None:
    sizes = sorted(((size, where) for file in sources() for where, size in functions(file)), reverse=True)
    long = [f"{where}: {size}" for size, where in sizes if size > NINE_IN_TEN_FUNCTIONS]
    assert len(long) <= len(sizes) / 10, long


def test_no_module_imports_itself_over_others() -> None:
    graph = grimp.build_graph("reconciler", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a cycle: {' -> '.join(error.args[1])}", pytrace=False)


# --- broad handlers --------------------------------------------------------------------------------------------------

BROAD = {"Exception", "BaseException"}


def broad_lines(module: ast.Module) -> Iterator[int]:
    """Yield the lines of `except:`, `except Exception`, and `suppress(Exception)`."""
    for node in ast.walk(module):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            caught = ast.Tuple(list(node.args))
        else:
            continue
        parts = caught.elts if isinstance(caught, ast.Tuple) else [caught]
        if any(part is None or ast.unparse(part) in BROAD for part in parts):
            yield node.lineno


def reason(line: str) -> str:
    """Return what the comment of a line says beside `noqa: ...`."""
    comment = line.partition("#")[2]
    return comment.partition(" - ")[2] if "noqa" in comment else comment


def test_broad_handlers_are_rare_and_give_their_reason() -> None:
    found = {
        f"{name(file)}:{line}": reason(lines(file)[line - 1]) for file in sources() for line in broad_lines(tree(file))
    }
    allowed = max(1, BROAD_IN_1000_LINES * sum(len(lines(file)) for file in sources()) / 1000)
    assert len(found) <= allowed, found
    assert [place for place, why in found.items() if len(why.strip()) < 10] == []


@pytest.mark.parametrize(
    ("code", "broad"),
    [
        ("try: x\nexcept: y", True),
        ("try: x\nexcept Exception: y", True),
        ("try: x\nexcept (OSError, BaseException) as e: y", True),
        ("with contextlib.suppress(Exception): x", True),
        ("with suppress(OSError): x", False),
        ("try: x\nexcept (OSError, ValueError): y", False),
    ],
)
def test_the_search_for_broad_handlers_finds_them(code: str, broad: bool) -> None:
    assert bool(list(broad_lines(ast.parse(code)))) is broad


def test_only_a_real_reason_counts() -> None:
    assert reason("except Exception:  # noqa: BLE001").strip() == ""
    assert reason("except Exception:  # noqa: BLE001 - the top of the program").strip() == "the top of the program"


# --- tests -----------------------------------------------------------------------------------------------------------


def test_there_are_enough_lines_of_test() -> None:
    code = sum(len(lines(file)) for file in sources())
    test = sum(len(lines(file)) for file in sources("tests"))
    print(f"{test} lines of test for {code} of code: {test / code:.2f}")
    assert test >= TEST_LINES_PER_CODE_LINE * code
