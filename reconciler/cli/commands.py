"""Which commands there are, and how the words of the command line find one; only the chosen file is imported.

A command is a file `<name>.py` in this folder (`import_.py` for a name that Python keeps) with a click command
`command`, and a line in `COMMANDS`. A first word that names no command is a directory: `reconcile ./watchers.d --once`
runs `daemon`.
"""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from reconciler.cli.options import GlobalOptions, add_to, global_options, version_option
from reconciler.errors import UsageError

#: What runs where no command is named.
DEFAULT = "daemon"


class Entry(NamedTuple):
    """One line of the help: the section it stands in, and what the command does."""

    section: str
    help: str


_RUN, _FIRST, _SEE, _HAND, _SHARE, _START = (
    "Run",
    "Before anything runs",
    "See what happened",
    "By hand",
    "Share",
    "Set up",
)

COMMANDS: Mapping[str, Entry] = {
    "daemon": Entry(_RUN, "Run the watchers of DIR...; the same as naming no command. --once: one pass."),
    "apply": Entry(_RUN, "Make one pass, as shown by a saved plan or after asking."),
    "run": Entry(_RUN, "Run a program as a local job, with watchers on its output."),
    "attach": Entry(_RUN, "Put watchers on a job that runs already."),
    "validate": Entry(_FIRST, "Check watcher files: every error with file, line, column and remedy."),
    "plan": Entry(_FIRST, "Show what a pass would change, and why; changes nothing."),
    "drift": Entry(_FIRST, "Show what was changed by hand and is not in the files."),
    "test": Entry(_FIRST, "Run the tests that stand beside watchers (*.test.yaml)."),
    "replay": Entry(_FIRST, "Run watchers over an output that exists, without acting."),
    "status": Entry(_SEE, "Show hosts, jobs and watchers as they are now."),
    "events": Entry(_SEE, "Show what happened; --follow goes on."),
    "metrics": Entry(_SEE, "Show or draw the stored metrics of a job."),
    "explain": Entry(_SEE, "Explain a watcher: file, line, patterns, jobs, last outcome."),
    "why": Entry(_SEE, "Say why a watcher did, or did not, trigger."),
    "trigger": Entry(_HAND, "Run a watcher's actions now."),
    "suspend": Entry(_HAND, "Hold watchers; their position waits."),
    "resume": Entry(_HAND, "Let held or disabled watchers go on."),
    "clean": Entry(_HAND, "Remove what is over: ended watchers, old events."),
    "export": Entry(_SHARE, "Write watchers as YAML."),
    "import": Entry(_SHARE, "Take over the watchers of another database."),
    "schema": Entry(_SHARE, "Print the JSON Schema of watchers or settings."),
    "serve": Entry(_SHARE, "Serve the API and the web pages."),
    "apikey": Entry(_SHARE, "Make, list and withdraw keys of the API."),
    "init": Entry(_START, "Write a first directory of watchers."),
    "demo": Entry(_START, "See it work: a small training job with watchers, here and now."),
    "doctor": Entry(_START, "Check this machine and its hosts."),
    "completion": Entry(_START, "Print the completion script of a shell."),
}

_ANSWERED_HERE = frozenset({"--help", "-h", "--version", "-V"})
#: Only a run has these: a word beside them is a directory, and one that is gone is what its alarm is for.
_RUNS = frozenset({"--once", "--dry-run"})
_USAGE = "[OPTIONS] [DIR]...\n       reconcile [OPTIONS] COMMAND [ARGS]..."
_EPILOG = """\
\b
Examples:
  reconcile demo                         see it work
  reconcile ./watchers.d                 run until told to stop
  reconcile ./watchers.d --once          one pass, from cron or in CI
  reconcile plan ./watchers.d            what would change, and why
  reconcile --once --help                the options of a run
  reconcile COMMAND --help               those of a command

\b
Exit status: 0 as declared, 1 error, 2 changes pending, 3 drift pending,
4 invalid configuration, 5 refused, 6 state held, 7 done in part, 64 wrong usage.
"""


def module_of(name: str) -> str:
    """Return the name of the file of a command, without `.py`."""
    return f"{name}_" if keyword.iskeyword(name) else name


def present() -> Iterator[str]:
    """Yield the commands whose file is here."""
    here = Path(__file__).parent
    return (name for name in COMMANDS if (here / f"{module_of(name)}.py").is_file())


class Commands(click.Group):
    """The group `reconcile`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: D102 - as click says
        return list(present())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: D102 - as click says
        if cmd_name not in present():
            return None
        command: click.Command = importlib.import_module(f"reconciler.cli.{module_of(cmd_name)}").command
        return add_to(command)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `daemon` before words that name no command."""
        place = _first_word(args)
        if place == len(args):
            routed = not ctx.resilient_parsing and not _ANSWERED_HERE.intersection(args)
        else:
            routed = args[place] not in COMMANDS and args[place] not in _ANSWERED_HERE
        suspect = None
        if routed:
            suspect = None if _RUNS.intersection(args) else _mistyped(args[place:])
            args.insert(place, DEFAULT)
        rest = super().parse_args(ctx, args)
        if suspect is not None:
            _refuse(suspect, ctx.obj)
        return rest

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: D102 - as click says
        formatter.write(f"Usage: {ctx.command_path} {_USAGE}\n")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections from the table; no command is imported."""
        here = list(present())
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            rows = [(name, COMMANDS[name].help) for name in here if COMMANDS[name].section == section]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer commands from the table, then directories."""
        items = [CompletionItem(name, help=COMMANDS[name].help) for name in present() if name.startswith(incomplete)]
        return (
            [*items, CompletionItem(incomplete, type="dir")]
            if not incomplete.startswith("-")
            else super().shell_complete(ctx, incomplete)
        )


def _first_word(args: Sequence[str]) -> int:
    """Return the index of the first word that is no global option (or the value of one)."""
    place = 0
    while place < len(args):
        word = args[place]
        if word in ("--config", "-c"):
            place += 2
        elif word in ("--debug", "--verbose", "--quiet") or word.startswith("--config=") or _is_letters(word):
            place += 1
        else:
            return place
    return len(args)


def _is_letters(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and not word[1:].strip("vq")


def _mistyped(words: Sequence[str]) -> str | None:
    """Return the first word where it is neither a command nor looks like a path."""
    if not words or words[0].startswith(("-", ".", "/", "~")) or "/" in words[0] or Path(words[0]).exists():
        return None
    return words[0]


def _refuse(word: str, options: GlobalOptions) -> None:
    """Raise UsageError but where the word is a directory that is gone: the state knows watchers out of it."""
    import difflib  # both save start-up time: only for a word that was mistyped

    from reconciler.cli.reading import gave_watchers

    if gave_watchers(options, Path(word)):
        return
    near = difflib.get_close_matches(word, list(present()), n=1)
    hint = f"did you mean `reconcile {near[0]}`?" if near else "see `reconcile --help`"
    raise UsageError(
        f"{word!r} is no command, and no directory of that name is here",
        remedy=f"{hint} (a directory that is still to come is written ./{word})",
    )


reconcile = Commands(
    "reconcile",
    params=[*global_options(), version_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Keep watchers on batch jobs as the files in DIR say: when a line like this appears, do that.",
    epilog=_EPILOG,
)
