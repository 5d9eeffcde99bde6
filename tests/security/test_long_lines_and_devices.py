"""Lines that nest until the reader gives up, and lines that would put a file in the place of a device.

Both are an author's; a value may complete the second. A line that cannot be read harms no other file.
"""

from __future__ import annotations

import pytest

from reconciler import app
from reconciler.logic.command import (
    CommandPolicy,
    CommandRefusedError,
    CommandSyntaxError,
    check_command,
    read_command,
    render_command,
)

POLICY = CommandPolicy(interpreters=True, workdir="/job", directories=("/data",))

#: A piece, and how often: each line has less than 10,000 characters.
LONG = {
    "ls && ": 1600,
    "ls>a && ": 1200,
    "ls | ls && ": 900,
    "ls && ls | ": 900,
    "ls 2>&1 && ls; ": 600,
    "in&&in' ": 1200,
    "ls; ": 2400,
    "ls|": 3300,
    "! ": 4900,
    "$(": 4900,
    "$((": 3300,
    "((": 4900,
    "{ ": 4900,
    "`": 9900,
    '"$(': 3300,
    "<(": 4900,
    "${x:-": 1900,
    "if ls; then ": 800,
    "a=(": 3300,
    "<<a ": 2400,
}


@pytest.mark.parametrize("piece", LONG)
def test_a_line_is_read_or_refused_however_long_its_chain_is(piece: str) -> None:
    with pytest.raises(CommandSyntaxError):
        read_command(piece * LONG[piece] + "ls")


def test_a_chain_without_end_in_one_file_leaves_the_others_alone() -> None:
    text = f'name: w\npattern: x\nactions: [{{type: run_command, params: {{command: "{"ls && " * 1600}ls"}}}}]\n'
    loaded = app.parse(text.encode(), "w.yaml")
    assert [(problem.line, problem.code) for problem in loaded.problems] == [(3, "bad-value")]


#: For an account that may change /dev, each would take the device away from everybody: so none is run here.
DEVICES = [
    "mv log.txt /dev/null", "mv /dev/null backups", "mv -f log.txt $x", "mv $x backups", "mv -t backups /dev/null",
    "cp log.txt /dev/null", "cp -a log.txt /dev/null", "cp -b log.txt $x", "cp --backup log.txt /dev/null",
]  # fmt: skip


@pytest.mark.parametrize("line", DEVICES)
def test_no_file_takes_the_place_of_a_device(line: str) -> None:
    assert check_command(line, POLICY) or "$x" in line
    with pytest.raises(CommandRefusedError, match="/dev/null"):
        render_command(line, POLICY, {"x": "/dev/null"})


HONEST = [
    "cp /dev/null log.txt",
    "grep loss log.txt /dev/null",
    "cat /dev/null",
    "ls > /dev/null 2>&1",
    "wc < /dev/null",
]


@pytest.mark.parametrize("line", HONEST)
def test_a_device_that_holds_nothing_may_be_read_and_written(line: str) -> None:
    assert check_command(line, POLICY) == ()
