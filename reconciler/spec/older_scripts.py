r"""`#WATCHER` lines and `#WATCHER_BEGIN` blocks of job scripts, to the fields that `older.take_over` wants.

`import` calls it for files, the engine for scripts of discovered jobs. Values are raw there: quotes around them are
taken off, a backslash is a backslash. Beside the older system's `- cancel_job(reason="...")`, actions may be written
as everywhere here (`- type: ...`). A line that says nothing known is a fault, never passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.spec.older import action_type
from reconciler.spec.yaml import parse

_PAIR = re.compile(r"""(\w+)=("[^"]*"|'[^']*'|\[[^\]]*\]|\w+\((?:"[^"]*"|'[^']*'|[^)"'])*\)|\S+)""")
_CALL = re.compile(r"^(\w+)(?:\((.*)\))?$", re.DOTALL)
_ARGUMENT = re.compile(r"""\s*(\w+)\s*=\s*("[^"]*"|'[^']*'|[^,]*?)\s*(?:,|$)""")
_KEY = re.compile(r"^([A-Za-z_]+)\s*:\s*(.*)$")
_JOB_NAME = re.compile(r"^#SBATCH\s+(?:--job-name[=\s]\s*|-J\s*)(?:\"([^\"]+)\"|'([^']+)'|(\S+))", re.MULTILINE)
#: A script is read so far.
MAX_LINES = 20_000


@dataclass(frozen=True, slots=True)
class Found:
    """One watcher of a script: its fields, the line (from 1) where it begins, and what cannot be understood of it."""

    fields: Mapping[str, Any]
    line: int
    faults: tuple[str, ...] = ()


def watchers_of(script: str) -> list[Found]:
    """Return the watchers that stand in a job script, in their order."""
    return list(_scan(script.splitlines()[:MAX_LINES]))


def job_name(script: str) -> str:
    """Return the name that the script gives its job with #SBATCH; empty: none."""
    found = _JOB_NAME.search(script)
    return next(filter(None, found.groups()), "") if found else ""


def _scan(lines: list[str]) -> Iterator[Found]:
    begun = 0
    for number, text in enumerate(map(str.strip, lines), 1):
        if text == "#WATCHER_BEGIN":
            if begun:
                yield Found({}, begun, ("a #WATCHER_BEGIN without its #WATCHER_END",))
            begun = number
        elif text == "#WATCHER_END":
            if begun:
                yield _block(lines[begun : number - 1], begun)
            begun = 0
        elif text.startswith("#WATCHER ") and not begun:
            yield _inline(text.removeprefix("#WATCHER "), number)
    if begun:
        yield Found({}, begun, ("a #WATCHER_BEGIN without its #WATCHER_END",))


def _inline(text: str, line: int) -> Found:
    fields: dict[str, Any] = {}
    faults: list[str] = []
    for key, value in _PAIR.findall(text):
        _put(fields, key.lower(), _bare(value), faults)
    left = _PAIR.sub("", text).strip()
    if left:
        faults.append(f"{left[:60]!r} is no key=value")
    return Found(fields, line, tuple(faults))


def _block(lines: list[str], line: int) -> Found:
    fields: dict[str, Any] = {}
    faults: list[str] = []
    actions: list[str] | None = None
    for text in map(_uncommented, lines):
        key = _KEY.match(text)
        if not text.strip():
            continue
        if key is not None and key[1].lower() == "actions" and not key[2]:
            actions = []
        elif key is not None:
            _put(fields, key[1].lower(), _bare(key[2].strip()), faults)
        elif actions is not None:
            actions.append(text)
        else:
            faults.append(f"{text.strip()[:60]!r} is no `key: value`")
    if actions:
        fields["actions"] = [*fields.get("actions", ()), *_actions(actions, faults)]
    return Found(fields, line, tuple(faults))


def _uncommented(line: str) -> str:
    """Take the comment mark off, and one blank behind it; what is indented further stays so."""
    text = line.strip()
    return text.removeprefix("#").removeprefix(" ").rstrip() if text.startswith("#") else line.rstrip()


def _actions(lines: list[str], faults: list[str]) -> list[Mapping[str, Any]]:
    """Return the actions of a block: calls, or a list as YAML."""
    calls = [line.strip() for line in lines]
    if all(text.startswith("- ") and _CALL.match(text[2:].strip()) for text in calls):
        return [action for text in calls if (action := _call(text[2:], faults))]
    if any(re.match(r"^-\s+\{?\s*type\s*:", text) for text in calls):
        read = parse("\n".join(lines).encode())
        if not read.flaws and len(read.documents) == 1 and isinstance(read.documents[0].value, list):
            return [item if isinstance(item, dict) else {"type": str(item)} for item in read.documents[0].value]
        faults.append("its actions are not YAML" + "".join(f": {flaw.message}" for flaw in read.flaws[:1]))
        return []
    found = []
    for text in calls:
        if not text.startswith("- "):
            faults.append(f"{text[:60]!r} is no `- action(...)`")
        elif action := _call(text[2:], faults):
            found.append(action)
    return found


def _call(text: str, faults: list[str]) -> Mapping[str, Any] | None:
    """Return `cancel_job(reason="x")` as an action; `log_event some text` gives the text as its message."""
    call = _CALL.match(text.strip())
    if call is None:
        name, _, message = text.strip().partition(" ")
        if re.fullmatch(r"\w+", name):
            return {"type": action_type(name), "params": {"message": _bare(message.strip())}}
        faults.append(f"{text[:60]!r} is no action")
        return None
    arguments = call[2] or ""
    params = {name: _bare(value) for name, value in _ARGUMENT.findall(arguments)}
    if _ARGUMENT.sub("", arguments).strip():
        faults.append(f'the arguments of {text[:60]!r} cannot be read: write name="value", with commas between')
    return {"type": action_type(call[1]), "params": params}


def _put(fields: dict[str, Any], key: str, value: str, faults: list[str]) -> None:
    if key == "action":
        if action := _call(value, faults):
            fields.setdefault("actions", []).append(action)
        return
    read = _READ.get(key)
    if read is None:
        faults.append(f"{key!r} is no field of a watcher")
        return
    try:
        fields[key] = read(value)
    except ValueError:
        faults.append(f"{key}: {value[:60]!r} cannot be read")


def _bare(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def _list(value: str) -> list[str]:
    inside = value.strip().removeprefix("[").removesuffix("]")
    return [_bare(item.strip()) for item in inside.split(",") if item.strip()]


def _flag(value: str) -> bool:
    if value.lower() not in ("true", "yes", "1", "on", "false", "no", "0", "off"):
        raise ValueError(value)
    return value.lower() in ("true", "yes", "1", "on")


_READ: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("name", "description", "pattern", "condition", "output_type"), str),
    **dict.fromkeys(("captures", "trigger_job_states"), _list),
    **dict.fromkeys(("timer_mode_enabled", "timer_mode", "trigger_on_job_end"), _flag),
    **dict.fromkeys(
        ("interval", "interval_seconds", "timer_interval", "timer_interval_seconds", "max_triggers", "max_failures",
         "remaining_resubmits", "resubmit_count"), int,
    ),
}  # fmt: skip
