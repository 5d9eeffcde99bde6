"""The options that a batch script carries in its own `#SBATCH` lines, and what no submission may carry. Pure.

Read for local jobs, where no sbatch is there to do it; as sbatch(1) does, reading ends at the first command. Every
scheduler has the options of a submission checked here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from reconciler.errors import PermanentActionError
from reconciler.protocols import OptionValue

SHORT = {
    "J": "job-name",
    "o": "output",
    "e": "error",
    "t": "time",
    "D": "chdir",
    "p": "partition",
    "A": "account",
    "q": "qos",
    "n": "ntasks",
    "N": "nodes",
    "c": "cpus-per-task",
    "G": "gpus",
    "C": "constraint",
    "d": "dependency",
    "H": "hold",
    "a": "array",
}
_MARK = "#SBATCH"


def refuse_empty(options: Mapping[str, OptionValue]) -> None:
    """Raise PermanentActionError (refused) for an empty text: some options would take the next word in its place."""
    if empty := sorted(name for name, value in options.items() if value == ""):
        raise PermanentActionError(
            f"no value for the option {', '.join(empty)}: nothing was submitted",
            refused=True,
            remedy="give it a value, or leave it out",
        )


def text_of(options: Mapping[str, OptionValue], name: str) -> str:
    """Return the text of an option, empty where it is not given or stands there as a switch."""
    value = options.get(name, "")
    return "" if value is True else value


def script_options(script: bytes) -> dict[str, OptionValue]:
    """Return long option name -> value (True for a switch); a later line wins."""
    found: dict[str, OptionValue] = {}
    for line in script.decode(errors="surrogateescape").splitlines():
        if line.startswith(_MARK):
            found.update(_options(_words(line[len(_MARK) :])))
        elif line.strip() and not line.lstrip().startswith("#"):
            break
    return found


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # an unclosed quote
        return text.split()


def _options(words: list[str]) -> Iterator[tuple[str, OptionValue]]:
    """Yield name and value of each option among the words; the value may be a word of its own."""
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
        elif word.startswith("-") and len(word) > 1:
            name, equals, value = SHORT.get(word[1], word[1]), "=" if word[2:] else "", word[2:]
        else:
            continue
        if not equals and queue and not queue[0].startswith("-"):
            value = queue.pop(0)
        yield name, value if equals or value else True
