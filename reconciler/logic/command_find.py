"""The programs of run_command whose arguments follow no common form: find and wandb.

Called by `command`. Of find's expression only what looks and prints is allowed, never what runs programs, deletes or
writes files (`-exec`, `-delete`, `-fprint`); of wandb only what neither runs anything, deletes nor logs in.
findutils 4.9, wandb 0.22.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reconciler.logic.command_paths import shown
from reconciler.logic.command_tools import JudgePath, Tool, author_wrote, judge_operand, names, refuse_captured_dash
from reconciler.logic.command_words import Argument, CommandRefusedError, Seen, Subject, Use

_FIND_PLAIN = names(
    "-true -false -empty -print -print0 -ls -readable -writable -executable -nouser -nogroup -daystart -depth"
    " -mount -xdev -prune -quit -not -a -and -o -or ! ( )"
)
_FIND_TEXT = names(
    "-name -iname -path -ipath -wholename -regex -iregex -regextype -type -xtype -size -amin -cmin -mmin -atime"
    " -ctime -mtime -maxdepth -mindepth -perm -user -group -links -inum -newermt -printf -lname"
)
_FIND_PATH = names("-newer -anewer -cnewer -samefile")
_FIND_FIRST = names("-H -L -P")


def arrange_find(words: Sequence[Subject], judge: JudgePath) -> Iterator[Argument]:
    """Yield find's arguments: paths, then tests that look and print. Raises CommandRefusedError for every other one."""
    rest = iter(words)
    looking = True  # still among the paths
    for subject in rest:
        seen = subject.seen
        looking = looking and not (seen.text[:1] in tuple("-!(),") and seen.text not in _FIND_FIRST)
        if looking:
            first = seen.trusted and seen.text in _FIND_FIRST
            if not first:
                refuse_captured_dash(seen)
                judge(seen)
            yield subject.to(Use.OPTION if first else Use.PATH)
        else:
            yield from _find_test(subject, rest, judge)


def _find_test(subject: Subject, rest: Iterator[Subject], judge: JudgePath) -> Iterator[Argument]:
    name = subject.seen.text
    if not subject.seen.trusted or name not in _FIND_PLAIN | _FIND_TEXT | _FIND_PATH:
        raise CommandRefusedError(f"find: {shown(subject.seen)} is not allowed")
    yield subject.to(Use.OPTION)
    if name in _FIND_PLAIN:
        return
    value = next(rest, None)
    if value is None:
        raise CommandRefusedError(f"find: {name} lacks its value")
    refuse_captured_dash(value.seen)
    if name in _FIND_PATH:
        judge(value.seen)
    yield value.to(Use.OPTION)


#: What wandb may be asked for: the others start agents, containers and programs.
WANDB = names("disabled enabled offline online status sync verify")
#: Options of `sync` that delete runs.
_WANDB_DELETING = names("clean clean-force clean-old-hours")
_WANDB_LONG = names(
    "append entity exclude-globs help host id ignore include-globs include-offline include-online include-synced"
    " job_type mark-synced no-include-offline no-include-online no-include-synced no-mark-synced no-settings"
    " no-sync-tensorboard project replace-tags service settings show skip-console sync-all sync-tensorboard verbose"
    " view"
)


def arrange_wandb(words: Sequence[Subject], judge: JudgePath, *, deleting: bool = False) -> Iterator[Argument]:
    """Yield wandb's arguments: one of its harmless commands, long options, paths. Raises CommandRefusedError.

    `deleting`: the settings list `wandb sync` itself, so it may clean up too.
    """
    if not words or not words[0].seen.trusted or words[0].seen.text not in WANDB:
        raise CommandRefusedError(f"wandb: only {', '.join(sorted(WANDB))} are allowed")
    yield words[0].to(Use.OPTION)
    for subject in words[1:]:
        seen = subject.seen
        if seen.written_option:
            judge(_wandb_value(seen, deleting=deleting))
        else:
            judge_operand(Tool(), seen, Use.PATH, judge)
        yield subject.to(Use.OPTION if seen.written_option else Use.PATH)


def _wandb_value(seen: Seen, *, deleting: bool) -> Seen:
    option = re.match(r"--([a-z][a-z_-]*)(?:=|\Z)", seen.text)
    if option is None:
        raise CommandRefusedError(f"wandb: {shown(seen)} is not allowed; write long options")
    author_wrote(seen, option.end())
    if option[1] in _WANDB_DELETING and not deleting:
        raise CommandRefusedError(
            f"wandb: {shown(seen)} deletes runs; leave it out, or have `wandb sync` put on the settings' list"
        )
    if option[1] not in _WANDB_LONG | _WANDB_DELETING:
        raise CommandRefusedError(f"wandb: the option {shown(seen)} is not allowed")
    if option[1] == "host" and not (seen.trusted and "=" in seen.text):
        raise CommandRefusedError("wandb: the key goes to this host: write it out, as --host=URL")
    return seen.after(option.end())
