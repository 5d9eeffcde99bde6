"""What the pages are made of: no way for text to become a program, nothing from elsewhere, sizes."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "reconciler" / "ui" / "static"
FILES = [file for file in sorted(STATIC.rglob("*")) if file.suffix in (".js", ".html", ".css", ".svg")]
SCRIPTS = [file for file in FILES if file.suffix == ".js"]
#: What makes a program of a text, or goes around the policy.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML|srcdoc"
    r"|\beval\s*\(|new\s+Function\b|setTimeout\(\s*[\"'`]|setInterval\(\s*[\"'`]|javascript:"
    r"|setAttribute\(\s*[\"'](?:style|on\w+)[\"']|\.cssText\b|[\s\"']style=[\"']|\son\w+=[\"']"
)
ELSEWHERE = re.compile(r"(?:https?:)?//(?!www\.w3\.org/)[a-z0-9-]+(?:\.[a-z0-9-]+)+")
LONGEST = 300


def found(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    return [
        f"{file.relative_to(STATIC)}:{number}: {line.strip()[:100]}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_text_becomes_a_program() -> None:
    assert len(SCRIPTS) > 10
    assert found(FORBIDDEN, FILES) == []


def test_the_test_finds_what_it_looks_for() -> None:
    bad = (
        "a.innerHTML = x",
        "eval (x)",
        '<p style="x">',
        "<p onclick='x'>",
        'e.setAttribute("style", x)',
        "setTimeout('x')",
    )
    assert all(FORBIDDEN.search(each) for each in bad)
    assert not FORBIDDEN.search("h('p', {style: {width: x}, onClick: run})")


def test_nothing_is_named_that_lies_elsewhere() -> None:
    assert found(ELSEWHERE, FILES) == []


def test_the_document_has_no_inline_script_and_no_inline_style() -> None:
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    assert "<style" not in text


def test_every_file_that_the_document_names_is_there() -> None:
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    named = re.findall(r"(?:src|href)=\"(/[^\"#]+\.\w+)\"", text)
    assert len(named) > 5
    assert [name for name in named if not (STATIC / name.lstrip("/")).is_file()] == []


def imported(script: Path) -> list[Path]:
    """Return the modules that one needs before it can run."""
    named = re.findall(r"^import [^\"]*\"(\.[^\"]+)\";", script.read_text(encoding="utf-8"), re.MULTILINE)
    return [(script.parent / name).resolve() for name in named]


def test_the_document_names_every_module_of_the_list_so_that_none_waits_for_another() -> None:
    needed: list[Path] = []
    waiting = [STATIC / "app.js", STATIC / "pages" / "watchers.js"]
    while waiting:
        script = waiting.pop().resolve()
        if script not in needed:
            needed.append(script)
            waiting += imported(script)
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    named = re.findall(r"(?:<link rel=\"modulepreload\" href|<script type=\"module\" src)=\"/([^\"]+)\"", text)
    assert len(named) > 15
    assert sorted(named) == sorted(str(script.relative_to(STATIC.resolve())) for script in needed)


def test_every_script_is_checked_and_none_is_too_long() -> None:
    checked = [file for file in SCRIPTS if file.name != "early.js"]
    assert [str(file) for file in checked if not file.read_text(encoding="utf-8").startswith("// @ts-check\n")] == []
    long = {str(file.relative_to(STATIC)): len(file.read_text(encoding="utf-8").splitlines()) for file in SCRIPTS}
    assert {name: size for name, size in long.items() if size > LONGEST} == {}
