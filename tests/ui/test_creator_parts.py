"""Pure parts of the creator, run in the browser: names made of patterns, actions that move, places of matches."""

from __future__ import annotations

from typing import Any

from parts.window import Window

NAMES = {
    r"loss: ([\d.]+)": "Loss",
    "(CUDA out of memory|OutOfMemoryError)": "CUDA out of memory",
    r"(?i)\berror\b": "Error",
    r"Epoch (\d+)/(\d+).*val_loss: (\S+)": "Epoch val_loss",
    r"(?P<used>\d+)MB of (?P<total>\d+)": "MB of",
    "<script>": "Script",
    r"\d+": "",
    "(": "",
}


async def called(window: Window, module: str, name: str, *arguments: Any) -> Any:
    """Call a function of a module of the pages."""
    program = "async ([module, name, given]) => (await import(`/parts/creator/${module}.js`))[name](...given)"
    return await window.page.evaluate(program, [module, name, list(arguments)])


async def test_names_moves_and_places(window: Window) -> None:
    assert {pattern: await called(window, "model", "nameOf", pattern) for pattern in NAMES} == NAMES
    actions = [{"type": "a"}, {"type": "b", "needs": [0]}, {"type": "c", "on_failure": [1]}]
    moved = await called(window, "model", "moveAction", actions, 1, 0)
    assert moved == [{"type": "b"}, {"type": "a"}, {"type": "c", "on_failure": [0]}]
    less = await called(window, "model", "moveAction", actions, 0, None)
    assert less == [{"type": "b"}, {"type": "c", "on_failure": [0]}]
    lines = ["ü → 1", "", "🎉 x1 x2", "y" * 5000]
    sizes = [len(line.encode()) + 1 for line in lines]
    found = [
        {"offset": len("ü → ".encode()), "text": "1", "line": 1},
        {"offset": sum(sizes[:2]) + len("🎉 ".encode()), "text": "x1", "line": 3},
        {"offset": sum(sizes[:2]) + len("🎉 x1 ".encode()), "text": "x2\nyy", "line": 3},
    ]
    spans = await called(window, "marks", "spansOf", lines, found)
    assert spans == [[[4, 5]], [], [[3, 5], [6, 8]], [[0, 2]]]
    changed = await called(
        window, "model", "changes", {"spec": {"a": 1, "c": [1]}, "text": None}, {"a": 1, "b": 2, "c": [2]}
    )
    assert changed == {"b": None, "c": [1]}


async def test_jobs_of_one_host_share_a_file_and_jobs_of_several_do_not(window: Window) -> None:
    def job(number: str, host: str) -> dict[str, str]:
        return {"job_id": number, "hostname": host, "name": "x", "state": "running"}

    spec = {"name": "w", "pattern": "x", "actions": []}
    form: dict[str, Any] = {"spec": spec, "target": "jobs", "apart": False, "named": True, "text": None}
    one = await called(window, "model", "bodies", {**form, "jobs": [job("1", "a"), job("2", "a")]})
    assert one == [{**spec, "jobs": {"ids": ["1", "2"], "hosts": ["a"]}}]
    two = await called(window, "model", "bodies", {**form, "jobs": [job("1", "a"), job("2", "b")]})
    assert two == [{**spec, "job_id": "1", "hostname": "a"}, {**spec, "job_id": "2", "hostname": "b"}]
    text = await called(window, "model", "bodies", {**form, "jobs": [], "text": "name: x"})
    assert text == [{"yaml": "name: x"}]
