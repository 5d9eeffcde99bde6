"""Which arguments the watched job's script got, for a resubmission that is to give it the same ones.

SLURM tells script and arguments as one text with blanks between, so an argument with a blank in it cannot be told from
two. A resubmitted job carries its arguments in its comment; of other jobs the text is split at blanks, and what shows
that this would be wrong is refused.
"""

from __future__ import annotations

from reconciler.actions._lineage import lineage_of
from reconciler.errors import PermanentActionError
from reconciler.protocols import ActionContext

_STANDARD_INPUT = "/dev/stdin"  # what SLURM calls the script of a job that was resubmitted with arguments
#: Blanks in the path of a script that are looked behind.
_MOST_BLANKS = 20
_REMEDY = "name the arguments: `arguments: [...]` beside `modifications`"
#: Prints how many of its arguments are there as files, counted to the first.
_FIRST_FILE = 'n=0; for path; do n=$((n + 1)); [ -f "$path" ] && { echo "$n"; exit; }; done; echo 0'


async def known_arguments(context: ActionContext) -> tuple[str, ...]:
    """Return the arguments. Raises PermanentActionError (refused) where they cannot be told."""
    carried = lineage_of(context.job)
    if carried is not None and carried.arguments is not None:
        return carried.arguments
    if carried is not None and carried.too_long:
        raise _unclear("the arguments were too long for the comment of the resubmitted job")
    words = context.job.command.split(" ")
    if len(words) == 1:
        return ()
    given = words[1:] if words[0] == _STANDARD_INPUT else await _behind_script(context, words)
    if odd := [word for word in given if not word or any(letter.isspace() for letter in word)]:
        raise _unclear(f"an argument seems to be empty or to have a blank in it, near {odd[0]!r}")
    return tuple(given)


async def _behind_script(context: ActionContext, words: list[str]) -> list[str]:
    """Return what stands behind the script's path, which may have blanks itself."""
    paths = [" ".join(words[:count]) for count in range(1, min(len(words), _MOST_BLANKS) + 1)]
    done = await context.transport.run(["sh", "-c", _FIRST_FILE, "sh", *paths], cwd=context.job.workdir, timeout=30.0)
    number = done.stdout.decode(errors="replace").strip()
    if done.status != 0 or number in ("", "0"):
        raise _unclear("the script is not where it was")
    return words[int(number) :]


def _unclear(why: str) -> PermanentActionError:
    return PermanentActionError(
        f"{why}, so nobody can tell which arguments the script got: nothing was submitted", refused=True, remedy=_REMEDY
    )
