"""Lines that no watcher may run, one on each line of `refused_lines.txt`: refused before anything is known of a value.

They are judged and never run, so that a line that slipped through does no harm here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.logic.command import (
    CommandPolicy,
    CommandRefusedError,
    CommandSyntaxError,
    check_command,
    render_command,
)

POLICY = CommandPolicy(interpreters=True, workdir="/w/job", directories=("/data/shared",))
LINES = Path(__file__).with_name("refused_lines.txt").read_text().splitlines()
VALUES = ("abc", "-x", "../../etc/passwd", "/etc/passwd", "a b;c", "!", "/dev/null", "@x", "x=y", "evil.py", "$(ls)")


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_refused_as_it_stands_and_with_every_value(line: str) -> None:
    assert check_command(line, POLICY)
    for value in VALUES:
        with pytest.raises((CommandSyntaxError, CommandRefusedError)):
            render_command(line, POLICY, {"v": value})


@pytest.mark.parametrize("value", ["evil.py", "a/evil.sh", "x.pl", "../x", "/etc/x"])
def test_what_a_program_prints_goes_to_no_script(value: str) -> None:
    with pytest.raises(CommandRefusedError):
        render_command("python eval.py > $v", POLICY, {"v": value})


def test_the_corpus_is_large() -> None:
    assert len(set(LINES)) == len(LINES) >= 350
