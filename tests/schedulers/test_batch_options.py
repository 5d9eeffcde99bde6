"""A batch script's own options are read as sbatch reads them."""

from __future__ import annotations

import pytest

from reconciler.schedulers.batch_options import script_options


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("#SBATCH --job-name=a", {"job-name": "a"}),
        ("#SBATCH --job-name a", {"job-name": "a"}),
        ("#SBATCH -J a -t 5", {"job-name": "a", "time": "5"}),
        ("#SBATCH -Ja", {"job-name": "a"}),
        ("#SBATCH --job-name='a b'  # why", {"job-name": "a b"}),
        ('#SBATCH --comment="x=y"', {"comment": "x=y"}),
        ("#SBATCH --exclusive --mem=1G", {"exclusive": True, "mem": "1G"}),
        ("#SBATCH -H", {"hold": True}),
        ("#SBATCH --job-name=", {"job-name": ""}),
        ("#SBATCH --job-name '' -H", {"job-name": True, "hold": True}),
        ("#SBATCH --name='open", {"name": "'open"}),
        ("##SBATCH --job-name=a", {}),
        (" #SBATCH --job-name=a", {}),
        ("#SBATCH", {}),
        ("#SBATCH word", {}),
        ("#SBATCH --output=\udcff", {"output": "\udcff"}),
    ],
)
def test_options_of_a_line(line: str, options: dict[str, str]) -> None:
    assert script_options(b"#!/bin/sh\n" + line.encode(errors="surrogateescape") + b"\n") == options


def test_later_lines_win_and_reading_ends_at_the_first_command() -> None:
    script = b"#!/bin/sh\n# about it\n#SBATCH -t 1\n\n#SBATCH -t 2\necho\n#SBATCH -t 3\n"
    assert script_options(script) == {"time": "2"}
