"""A hundred and eighty further attempts, of other kinds: expansions, redirections, options that hide in names of files.

The ground is that of `test_injection`: `forbidden` on the PATH leaves a canary, a directory beside the job's is
watched.
Each attempt runs through the real shell; none runs anything, writes elsewhere, or takes a file's name for an option.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from test_injection import Ground, attempt, ground  # noqa: F401 - a fixture

from reconciler.protocols import Transport

#: Written by an author; `$x` is captured, and holds what is the worst in its place.
LINES = r"""
find . -fprintf ../outside/canary %p
find . -fprint0 ../outside/canary
find . -name x -prune , -delete
find -O3 . -delete
find -H sentinel -delete
find -D exec . -name x
find . -printf %p -delete
find . -files0-from -
find . ( -delete )
find . \( -delete \)
find . -anewer ../outside/kept.txt
find ./../outside -name x
find $x -delete
find . {-delete,-ls}
cp --target-directory=../outside log.txt
cp --backup=numbered --suffix=/../../outside/canary log.txt log.txt
cp -S /../canary -b log.txt log.txt
cp --parents ../outside/kept.txt backups
cp --remove-destination log.txt sentinel
cp -rt.. log.txt
cp -at ../outside log.txt
cp -- log.txt -t ../outside
cp --no-preserve=mode --reflink=auto log.txt ../outside/canary
mv --backup --suffix=x sentinel log.txt
mv -t.. sentinel
mv --exchange sentinel ../outside/kept.txt
tail --follow=name --retry log.txt
tail --pid=1 log.txt
tail -n 1 --foll log.txt
tail -5f log.txt
tail -n5 -s0 -F log.txt
date -f log.txt
date --file=log.txt
date --fi=../outside/kept.txt
date --reference=../outside/kept.txt
date -d @0 --set=now
date -us now
wc --files0-from=-
grep --exclude-from=../outside/kept.txt x log.txt
grep -d recurse x ..
grep -Rf../outside/kept.txt log.txt
grep -e x -- ../outside/kept.txt
logger --journald=../outside/kept.txt
logger -u ../outside/socket x
logger -d -n 127.0.0.1 -P 9 x
logger -if ../outside/kept.txt
mkdir -Z canary
touch --no-deref ../outside/canary
touch -hr ../outside/kept.txt x
ls -d ../outside/*
ls {..,.}/outside
echo $((a[$(forbidden)]))
echo $[a[$(forbidden)]]
echo ${a[$(forbidden)]}
echo ${a[`forbidden`]}
echo ${x//a/$(forbidden)}
echo ${x:0:$(forbidden)}
echo ${x:$((forbidden))}
echo ${x^^}
echo ${x@Q}
echo ${!x*}
echo ${x?$(forbidden)}
echo ${x=$(forbidden)}
echo ${x%$(forbidden)}
echo {a,$(forbidden)}
echo {$(forbidden)..3}
ls ~+
ls ~-
ls ~root/x
cp ~/x .
cat<<-EOF
cat << 'EOF' > x
cat 0<../outside/kept.txt
ls >&/dev/tcp/127.0.0.1/9
ls > /dev/tcp/127.0.0.1/9
ls >& ../outside/canary
ls <>../outside/canary
ls {fd}>../outside/canary
ls 10>../outside/canary
ls 2>&1 >../outside/canary
cat </dev/tcp/127.0.0.1/1
cat < /proc/self/environ
ls > /proc/self/fd/1
cat /proc/self/environ
cat < log.txt > ../outside/canary
exec 3<>/dev/tcp/127.0.0.1/1
exec -a x ls
command -v ls
command -p forbidden
builtin echo x
coproc ls
coproc X { forbidden; }
select x in a; do forbidden; done
time -p forbidden
jobs -x forbidden
fc -s
compgen -C forbidden
complete -C forbidden ls
mapfile -C forbidden -c 1 x
shopt -s expand_aliases
set -- forbidden
: $(forbidden)
: ${x:=y}
umask 0
kill -9 1
pushd ..
getopts a x
declare -n x=y
a[$(forbidden)]=1 ls
a+=1 ls
IFS=x ls
PS4='$(forbidden)' ls
BASH_ENV=./x ls
BASH_FUNC_ls%%='() { forbidden; }' ls
ls=forbidden ls
x=(1 2) ls
ls &&& forbidden
ls ;& forbidden
ls | tee ../outside/canary
ls | while read x; do forbidden; done
ls | { forbidden; }
ls | (forbidden)
ls;{ forbidden;}
ls -la\;forbidden;forbidden
echo "$(echo "$(forbidden)")"
echo \\$(forbidden)
echo "\$(forbidden)$(forbidden)"
echo $(<../outside/kept.txt)
echo $(ls > ../outside/canary)
echo $(cp log.txt ../outside/canary)
echo $(find . -delete)
echo $(cat log.txt | python3)
python3 -W error::$x.Y code.py
python3 -X pycache_prefix=$x code.py
python3 --check-hash-based-pycs $x code.py
python3 -I$x code.py
python3 < log.txt
python3 <<< 'x'
python3 -m doctest $x
python3 -m zipapp $x
python3 -m http.server $x
python3 -m webbrowser $x
python3 -m cProfile $x
pip --config $x
pip --python $x list
pip install --index-url $x y
pip install y --find-links=$x
pip download -d $x y
pip --log $x list
pip install "y @ file://$x"
uvx --from $x ruff
uvx ruff@$x
uvx --index-url $x ruff
uvx -p $x ruff
uv run --with $x code.py
uv run --env-file $x code.py
uv run --directory $x code.py
uv run --script $x
uv run $x.py
uv run bash -c $x
uv run -- $x
uv --directory / run code.py
wandb sync --$x
wandb sync $x/../../x
wandb artifact put x
""".strip().splitlines()

#: What looks like a blank, an end of a line or a separator, and lines that a reader could take for shorter ones.
UNICODE = [
    "ls\u00a0forbidden", "ls\u3000forbidden", "ls\u2003;\u2003forbidden", "ls\u037eforbidden", "ls\uff1bforbidden",
    "ls \u2028forbidden", "ls\u0085forbidden", "ls\u2060;forbidden", "l\u00ads", "\u202els", "\uff4c\uff53",
    "ls\x0cforbidden", "ls\x00;forbidden", "fi\\\nnd . -delete", "ec\\\nho x", "ls \\\n; forbidden",
    "\ufeffls; forbidden",
    "cat <<EOF\nx\nEOF\nforbidden", "cat <<-'EOF'\n\tx\n\tEOF\nforbidden", "ls <<A <<B\nA\nB\nforbidden",
]  # fmt: skip


PROGRAMS = sorted({line.split()[0] for line in LINES})


async def all_refused(ground: Ground, here: Transport, lines: Sequence[str]) -> None:  # noqa: F811
    for line in lines:
        for value in ("forbidden", "../outside/canary"):
            told = await attempt(ground, here, line, {"x": value})
            assert ground.canaries() == [], (line, told)
            assert told.startswith("FAILED refused"), (line, told)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_none_of_it_runs(ground: Ground, this_machine: Transport, program: str) -> None:  # noqa: F811
    await all_refused(ground, this_machine, [line for line in LINES if line.split()[0] == program])


async def test_nothing_that_looks_like_a_blank_or_an_end_is_one(ground: Ground, this_machine: Transport) -> None:  # noqa: F811
    await all_refused(ground, this_machine, UNICODE)


#: A captured value that a program would take as code: by its standard input, or as a module, a pickle, a command.
CODE = "__import__('os').system('forbidden')"
AS_CODE = [
    ("echo $x | python3 -m pdb script.py", f"!{CODE}\nc"),
    ("echo $x | python3 -u -X dev -m code", CODE),
    ("echo $x | python3 -m asyncio", CODE),
    ("echo $x | uv run bash", "forbidden"),
    ("echo $x | uv run --with numpy sh", "forbidden"),
    ("logger -s $x | uv run bash", "forbidden"),
    ("echo $x | uvx ipython", CODE),
    ("echo $x | uv run -m code", CODE),
    ("echo $x | uv run python3 -m pdb script.py", f"!{CODE}\nc"),
    ("python3 -m pydoc $x", "evil"),
    ("python3 -m inspect $x", "evil"),
    ("python3 -m pickle $x", "evil.pkl"),
    ("uv run -m pydoc $x", "evil"),
    ("python3 -m uvicorn $x", "evil:app"),
    ("python3 -m launcher $x", "evil"),
    ("python3 -m launcher --reload $x", "evil"),
    ("python3 -m launcher --app=$x", "evil"),
    ("uv run -m launcher $x", "evil"),
    ("uv run python3 -m launcher $x", "evil"),
]


@pytest.fixture
def evil(ground: Ground) -> Ground:  # noqa: F811
    """Beside the usual, a module and a pickle that run `forbidden`, and a `uv` that starts what it is told to."""
    (ground.work / "code.py").rename(ground.work / "script.py")
    (ground.work / "evil.py").write_text(f"{CODE}\n")
    (ground.work / "evil.pkl").write_bytes(b"cos\nsystem\n(S'forbidden'\ntR.")
    (ground.work / "launcher.py").write_text("import sys; __import__(sys.argv[-1].split('=')[-1])\n")
    uv = ground.root / "tools" / "uv"
    uv.write_text('#!/bin/sh\nshift\n[ "$1" != --with ] || shift 2\n[ "$1" = -m ] && exec python3 "$@"\nexec "$@"\n')
    uv.chmod(0o755)
    (ground.root / "tools" / "uvx").write_text("#!/bin/sh\nexec python3 -i\n")
    (ground.root / "tools" / "uvx").chmod(0o755)
    return ground


@pytest.mark.parametrize(("line", "value"), AS_CODE)
async def test_a_captured_value_becomes_no_code(evil: Ground, this_machine: Transport, line: str, value: str) -> None:
    told = await attempt(evil, this_machine, line, {"x": value})
    assert evil.canaries() == [], told
    assert told.startswith("FAILED refused"), told


async def test_a_captured_option_makes_find_follow_no_link(ground: Ground, this_machine: Transport) -> None:  # noqa: F811
    (ground.work / "link").symlink_to(ground.root / "outside")
    assert "kept" not in await attempt(ground, this_machine, "find $x -name kept.txt", {"x": "."})
    for line in ("find $x -name kept.txt", "find $x . -name kept.txt"):
        for value in ("-L", "-H", "-P"):
            told = await attempt(ground, this_machine, line, {"x": value})
            assert told.startswith("FAILED refused"), told


#: Names that a job may give to its files.
FILES = [
    "-delete", "--delete", "-exec", "-f", "-F", "-follow=name", "--files0-from=..", "--target-directory=..", "-t..",
    "-c __import__('os').system('forbidden')", "-h", "-i", "--help", "--version", "-e", "-n", "-rf", "-", "--", "-quit",
    "-newer", "-o", "!", "(", " x", "a b", "$(forbidden)", "`forbidden`", ";forbidden", "\nforbidden", "'", '"', "*",
    "?", "[a]", "~", "~root",
]  # fmt: skip
GLOBS = [
    "find * -name x", "find [-]* -name x", "ls *", "ls -- *", "ls [-]*", "cat *", "cat [-]*", "cp * backups",
    "cp [-]* backups", "mv -n [-]* backups", "touch *", "touch [-]*", "grep x *", "grep -e x [-]*", "head *", "tail *",
    "tail [-]*", "wc *", "wc [-]*", "mkdir -p *", "python3 code.py *", "python3 code.py [-]*", "echo $(ls)",
    "ls $(echo -- -x)", "cp $(echo -t ..) log.txt", "find . $(echo -delete)",
]  # fmt: skip


def names_of(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.mark.parametrize("line", GLOBS)
async def test_no_name_of_a_file_is_an_option(ground: Ground, this_machine: Transport, line: str) -> None:  # noqa: F811
    for name in FILES:
        (ground.work / name).write_text("x\n")
    before = names_of(ground.work)
    told = await attempt(ground, this_machine, line)
    assert ground.canaries() == [], told
    moved = names_of(ground.work / "backups") if line.startswith("mv") else set()
    assert names_of(ground.work) | moved >= before, told
    assert names_of(ground.root) <= {"tools", "work", "outside"}
    assert "coreutils" not in told  # what --help and --version print
    assert "usage" not in told.lower()


def test_the_corpus_of_both_files_is_large() -> None:
    assert len({*LINES, *UNICODE, *AS_CODE, *GLOBS}) >= 200
