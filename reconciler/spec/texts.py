"""The checks of single values that pydantic has no constraint for; `watcher` hangs them on its fields.

What fails raises a PydanticCustomError whose type is the Problem's code, with a `remedy` in its context.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from reconciler.model import JobState

#: In or before a character class these make `re` warn of a change of meaning that never came.
_SET_WORDS = ("[[", "[^[", "--", "&&", "~~", "||")

_PART = re.compile(r"(\d+)\+\d+", re.ASCII)
#: What `trigger_job_states` takes beside the end states of `JobState`: SLURM's own words (squeue(1), JOB STATE CODES).
FINER_STATES = frozenset(
    {
        "boot_fail",
        "deadline",
        "launch_failed",
        "node_fail",
        "out_of_memory",
        "preempted",
        "reconfig_fail",
        "requeued",
        "revoked",
        "special_exit",
    }
)
END_WORDS = frozenset(state.value for state in JobState if state.ended) | FINER_STATES

#: Validation context of the loaders: rules over several fields are reported by them, at their places.
LOADING: Mapping[str, bool] = {"rules_elsewhere": True}
#: Validation context for JSON that was valid before: patterns are not compiled once more.
TRUSTED: Mapping[str, bool] = {"rules_elsewhere": True, "compiled_before": True}


def listed(value: object) -> object:
    """Let one value stand for a list of one. A tuple: loading is strict, and this is no JSON any more."""
    if isinstance(value, (str, int)):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def printable(text: str) -> str:
    """Refuse control characters: names stand in tables, events and file names."""
    if not text.isprintable():
        raise PydanticCustomError(
            "control-character", "should have no control characters or line breaks", {"remedy": "write it on one line"}
        )
    return text


def whole_job(value: object) -> object:
    """Refuse a part of a heterogeneous job, and say what selects it; what else is no id, its pattern refuses."""
    part = _PART.fullmatch(value) if isinstance(value, str) else None
    if part:
        remedy = f'write "{part[1]}": it selects all parts of that job'
        raise PydanticCustomError("bad-format", "is a part of a heterogeneous job", {"remedy": remedy})
    return value


def job_state(text: str) -> str:
    """Return an end state in lower case."""
    word = text.strip().lower()
    if word not in END_WORDS:
        raise PydanticCustomError(
            "not-allowed", "is no end state of a job", {"remedy": f"write one of {', '.join(sorted(END_WORDS))}"}
        )
    return word


def compiles(text: str, info: ValidationInfo) -> str:
    """Refuse what Python's `re` cannot compile (the meaning of a pattern is that of `re` with `re.ASCII`)."""
    if info.context and info.context.get("compiled_before"):
        return text
    try:
        expression(text)
    except re.error as error:
        where = "" if error.pos is None else f" at its character {error.pos + 1}"
        raise _bad_pattern(f"is no regular expression: {error.msg}{where}") from error
    except (RecursionError, OverflowError) as error:
        raise _bad_pattern("is nested or repeated beyond what can be compiled") from error
    return text


def _bad_pattern(what: str) -> PydanticCustomError:
    remedy = "mend it; put \\ before each of ( ) [ ] { } . * + ? ^ $ | that is meant as it stands"
    return PydanticCustomError("bad-pattern", "{what}", {"what": what, "remedy": remedy})


def expression(text: str) -> re.Pattern[str]:
    """Return the compiled pattern, without `re`'s warning about sets; raises what `re.compile` raises."""
    if not any(word in text for word in _SET_WORDS):
        return re.compile(text, re.ASCII)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(text, re.ASCII)


def union_kind(scalar: str, mapping: str, **by_key: str) -> Callable[[object], str]:
    """Return a discriminator: the tag of the first key (or attribute) of `by_key` a value has, else one of the two.

    One tag for each value means one clear error, where a plain union gives the errors of all its members.
    """

    def kind(value: object) -> str:
        if isinstance(value, Mapping):
            return next((tag for key, tag in by_key.items() if key in value), mapping)
        return next((tag for key, tag in by_key.items() if hasattr(value, key)), scalar)

    return kind
