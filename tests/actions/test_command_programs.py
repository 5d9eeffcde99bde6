"""Captured values beside modules of Python and beside the operator's own programs: never what these would run."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from reconciler.actions.run_command import RunCommandSettings
from reconciler.logic.command import (
    DEFAULT_COMMANDS,
    CommandPolicy,
    CommandRefusedError,
    check_command,
    render_command,
)
from reconciler.logic.command_tools import names

CODE = CommandPolicy(workdir="/job", interpreters=True)


def listing(*commands: str) -> CommandPolicy:
    """Return a policy of an operator who added these to the list."""
    return CommandPolicy(commands=DEFAULT_COMMANDS | set(commands), workdir="/job", interpreters=True)


def refused(line: str, policy: CommandPolicy, value: str = "evil") -> str:
    """Return why a line is refused with a value in it."""
    with pytest.raises(CommandRefusedError) as caught:
        render_command(line, policy, {"x": value, "y": value})
    return str(caught.value)


# --- modules ---------------------------------------------------------------------------------------------------------

KNOWN = sorted(
    names(
        "uvicorn coverage mpi4py mpi4py.futures torchrun torch.distributed.run streamlit flask gunicorn"
        " celery papermill nbconvert ipdb debugpy kernprof line_profiler memory_profiler scalene viztracer"
        " pyinstrument horovod.runner invoke fabric nox pipx poetry xonsh bpython ptpython tox hatch dask ray"
        " hypercorn daphne deepspeed accelerate.commands.launch IPython jupyterlab ipykernel pytest xdist pudb"
        " joblib cython numba lightning transformers pip uv"
    )
)


@pytest.mark.parametrize("module", KNOWN)
def test_a_module_that_runs_what_it_is_given_gets_no_captured_value(module: str) -> None:
    for before in ("python -m", "python3.12 -u -m", "uv run -m", "uv run python -m"):
        for after in ("$x", "run $x", "--reload $x", "--app=$x", "$x:app", "5 $x", "a; echo $x"):
            assert check_command(f"{before} {module} {after}", listing("python3.12")), after
    assert check_command(f"python -m {module} app:main --port 80", CODE) == ()
    assert check_command(f"echo $x | python -m {module} app", CODE)
    assert check_command(f"cat log.txt | python -m {module} app", CODE)


#: Modules that no list holds: they may be the author's, or a launcher that is new tomorrow.
UNKNOWN_REFUSED = [
    "python -m launcher $x",
    "python -m launcher run $x",
    "python -m launcher --verbose $x",
    "python -m launcher -n 2 $x",
    "python -m launcher -- $x",
    "python -m launcher $x:app",
    "python -m launcher jobs/$x",
    "python -m launcher jobs/$x.py",
    "python -m launcher 5$x",
    "python -m launcher -c $x",
    "python -m launcher -c$x",
    "python -m launcher -c=$x",
    "python -m launcher -m=$x",
    "python -m launcher --app=$x",
    "python -m launcher --module=$x",
    "python -m launcher --script=a/$x",
    "python -m launcher --$x",
    "python -m launcher --$x=1",
    "python -m launcher $x=1",
    "python -m launcher $(echo $x)",
    "python -m launcher $(date +%s)",
    "python -m my.launcher.of.mine $x",
    "uv run -m launcher $x",
    "uv run python -m launcher $x",
]


@pytest.mark.parametrize("line", UNKNOWN_REFUSED)
def test_no_value_is_a_word_that_an_unknown_module_could_run(line: str) -> None:
    told = refused(line, CODE)
    assert "write" in told


#: Values, and whether they may be words of their own.
WORDS = {
    "5": True,
    "5.73": True,
    "1e-05": True,
    "123_4": True,
    "95.1%": True,
    "12:30:05": True,
    "2026-11-27": True,
    "nan": True,
    "Inf": True,
    "": True,
    "-5": False,
    "evil": False,
    "evil:app": False,
    "evil.py": False,
    "5.py": False,
    "5/evil": False,
    "./5": False,
    "5 evil": False,
    "5\nevil": False,
    "e5": False,
    "..": False,
    "nano": False,
}


@pytest.mark.parametrize(("value", "good"), WORDS.items())
def test_a_number_may_be_a_word_of_its_own(value: str, good: bool) -> None:
    for line in ("python -m mypackage.eval $x", "uv run -m mypackage.eval --loss $x"):
        assert check_command(line, CODE) == ()
        if good:
            assert render_command(line, CODE, {"x": value}).arguments == (value,)
        else:
            refused(line, CODE, value)


@pytest.mark.parametrize("line", ["--message=$x", "--message='loss: '$x", "message=$x", "+lr=5 train.lr=$x"])
def test_any_text_may_stand_behind_a_name_that_the_author_wrote(line: str) -> None:
    for before in ("python -m mypackage.eval", "uv run -m mypackage.eval", "python -m mypackage.eval train"):
        assert check_command(f"{before} {line}", CODE) == ()
        assert render_command(f"{before} {line}", CODE, {"x": "CUDA out of memory: /x"}).arguments


@pytest.mark.parametrize(
    "line", ["python eval.py -$x", "python eval.py --$x", "python eval.py --l$x=1", "uv run a.py -n$x"]
)
def test_no_value_is_part_of_an_option(line: str) -> None:
    assert "behind `=`" in " ".join(check_command(line, CODE))
    assert "behind `=`" in refused(line, CODE)


def test_an_honest_script_takes_any_text() -> None:
    for line in ("python eval.py $x", "python eval.py --message $x", "uv run eval.py run $x", "python eval.py a$x"):
        assert render_command(line, CODE, {"x": "CUDA error: /x"}).arguments == ("CUDA error: /x",)


# --- what an operator lists ------------------------------------------------------------------------------------------

OPERATORS = """
uv add $x
uv pip install $x
uv tool run $x
uv tool install --from $x y
uv sync --index=$x
uv --quiet run $x
uv run $x
uv run python -c $x
uv run --with $x train.py
pip3.11 install $x
conda install $x
mamba run $x
npm install $x
npx $x
poetry run $x
pipx run $x
pixi run $x
cargo run $x
go run $x
gem install $x
rbash -c $x
mksh -c $x
pwsh -c $x
bash-5.1 -c $x
dash tidy.sh $x
nush $x
xonsh -c $x
busybox $x
busybox sh -c $x
toybox $x
pypy3 $x
pypy3 -c $x
pypy3.10 -m $x
python3.11-dbg $x
python3.11d -c $x
python3.11-dbg -m uvicorn $x
perl5.36 -e $x
ruby3.1 $x
nodejs $x
node18 -e $x
lua5.4 $x
luajit-2.1 $x
php8.2 -r $x
gawk5 $x
m4 $x
vim.tiny $x
sqlite3 a.db $x
less $x
gmake -f $x
cmake -P $x
java -jar $x
flock lock $x
flock train.py $x
chrt 1 $x
doas $x
unshare $x
valgrind $x
script -c $x
srun.real $x
uvicorn $x
gunicorn $x
pytest $x
coverage run $x
jupyter nbconvert $x
git log --output=$x
tar --to-command=$x
torchrun $x
torchrun --nproc_per_node 2 $x
torchrun --nproc_per_node=$x train.py
torchrun -m $x
torchrun -m pdb train.py $x
torchrun $x train.py
torchrun jobs/$x.py
torchrun --log-dir=$x.py train.py
accelerate launch $x
accelerate launch --module pdb a.py $x
deepspeed $x
deepspeed --hostfile=$x train.py
mpirun -n 2 $x
mpirun -n 2 python $x
mpirun -n 2 python -c $x
mpirun -n 2 python -m $x
mpirun -n 2 python -c pass a.py $x
mpirun -n 2 python -i a.py $x
mpirun -n 2 bash a.py $x
mpirun python a.py : python $x
mpirun python a.py $(echo $x)
mpiexec $x
mpiexec.hydra -n 2 $x
taskset 1 $x
numactl --all $x
strace -f $x
sort --compress-program=$x a.txt
sort --compress-prog=$x a.txt
sort --compress-program $x a.txt
sort -o $x a.txt
sort -uo $x a.txt
sort --output=$x a.txt
sort --out $x a.txt
sort -T $x a.txt
rg --pre $x y
rg --pre=$x y
rg -f $x y
fd -x $x
fd --exec=$x
curl -o $x https://example.org
curl -sK $x https://example.org
curl $x
curl -d $x https://example.org
curl -F file=$x -F msg=a$x https://example.org
wget --output-document=$x https://example.org
wget $x
shuf --output=$x a.txt
split --filter=$x a.txt
split --filt=$x a.txt
split --filter $x a.txt
diff3 --diff-program=$x a b c
sdiff --diff-program=$x a b
mail $x
mailx -s hit $x
mutt -s hit $x
sendmail $x
mlflow run $x
dvc exp run $x
convert $x a.png
gs $x
pdflatex $x
pandoc --filter=$x a.md
lftp -c $x
fzf --preview=$x
tcpdump -z $x
logrotate $x
tree -o $x
curl --etag-save=$x https://example.org
curl --libcurl=$x https://example.org
curl --hsts=$x https://example.org
curl --alt-svc=$x https://example.org
curl --engine=$x https://example.org
curl -w a$x https://example.org
curl --write-out=a$x https://example.org
wget --save-cookies=$x https://example.org
wget --warc-file=$x https://example.org
wget --rejected-log=$x https://example.org
wget --hsts-file=$x https://example.org
printf -v PATH $x
test -v $x
mytool --exec=$x
mytool --shell $x
mytool --plugin=a/$x
mytool -$x
mytool -n$x
""".strip().splitlines()


@pytest.mark.parametrize("line", OPERATORS)
def test_no_program_of_the_operators_is_told_by_a_value_what_to_run_or_write(line: str) -> None:
    own = listing(line.split()[0])
    assert check_command(line, own), "an author is told at validation"
    assert any(word in refused(line, own) for word in ("write", "leave it out", "not allowed", "may follow"))


OPERATORS_ALLOWED = """
uv run train.py $x
uv run -m mypackage.eval --loss=$x
uv add numpy
uv pip list
bash tidy.sh
notify.sh $x
env.sh --message=$x
time.py $x
nvidia-smi -i $x
nvidia-smi --id=$x
node-report $x
node2vec $x
mytool $x --name=$x --loss $x
pypy3 eval.py $x
pypy3 -m mypackage.eval --loss=$x
python3.11-dbg -u eval.py $x
torchrun train.py $x
torchrun --nproc_per_node 2 train.py --loss $x
accelerate launch --config_file a.yaml train.py --loss=$x
deepspeed --num_gpus=2 train.py $x
mpirun -n 2 python train.py $x
mpirun -n 2 ./solver
mpiexec.hydra -n 2 train.py --message=$x
taskset -c 0 python train.py $x
numactl --membind=0 python -u train.py $x
echo $x | torchrun train.py
sort $x
sort -u -- $x
sort -k 2 a_$x.txt
sort -o sorted.txt a.txt
rg $x log.txt
rg -e $x log.txt
curl -sS -d loss=$x https://example.org/hook
curl https://example.org/$x
wget -qO- https://example.org/$x
tee log_$x.txt
dd if=a.pt of=a_$x.pt
rm -r checkpoints/$x
gzip $x
printf '%s' $x
printf '%s' -v
test -f $x
""".strip().splitlines()


@pytest.mark.parametrize("line", OPERATORS_ALLOWED)
def test_honest_lines_of_the_operators_programs_run(line: str) -> None:
    own = listing(line.split()[0], "torchrun")
    assert check_command(line, own) == ()
    render_command(line, own, {"x": "evil"})


@pytest.mark.parametrize(
    "line",
    [
        "xxd a $x",
        "iconv a -o $x",
        "cpio -iF $x",
        "pigz $x",
        "sponge $x",
        "tee $x",
        "rm -r $x",
        "rm -r logs/$x",
        "dd of=$x",
        "truncate -s0 $x",
        "ln -s $x a",
        "chmod 600 a$x",
        "gzip $x",
    ],
)
def test_what_a_value_names_to_be_written_lies_where_files_may_be_named(line: str) -> None:
    own = listing(line.split()[0])
    assert check_command(line, own) == ()
    refused(line, own, "/../../etc/passwd")
    if "$x" in line.split() or "of=" in line:
        assert "outside" in refused(line, own, "/etc/passwd")


@pytest.mark.parametrize("line", ["rm $x", "rm -rf $x", "ln -sf a $x", "install a $x", "chmod 600 $x", "shred -u $x"])
def test_a_value_names_no_device(line: str) -> None:
    assert "/dev/null" in refused(line, listing(line.split()[0]), "/dev/null")


def test_a_value_does_not_part_the_programs_of_mpirun() -> None:
    line = "mpirun python train.py $x $y"
    assert render_command(line, listing("mpirun"), {"x": "a", "y": "b"}).arguments == ("a", "b")
    assert "another program" in refused(line, listing("mpirun"), ":")


@pytest.mark.parametrize("two", ["accelerate launch", "uv pip", "uv tool", "git log", "pypy3 eval.py", "wandb agent"])
def test_a_program_listed_by_two_words_is_judged_as_the_whole_is(two: str) -> None:
    own = CommandPolicy(commands=frozenset({two}), workdir="/job", interpreters=True)
    assert check_command(two, own) == () or two == "accelerate launch"
    assert bool(check_command(f"{two} $x", own)) is (two != "pypy3 eval.py")
    assert check_command(f"{two.split()[0]} other", own)


@pytest.mark.parametrize("word", ["cd", "pushd", "popd"])
def test_no_list_holds_what_changes_where_the_later_words_lead(word: str) -> None:
    own = CommandPolicy(commands=DEFAULT_COMMANDS | {word, f"{word} logs"}, interpreters=True, workdir="/job")
    for line in (f"{word} /etc && cat passwd", f"{word} logs", f"{word} $x && python train.py", f"ls && {word}"):
        assert "`cwd`" in " ".join(check_command(line, own))
    with pytest.raises(ValidationError, match="`cwd`"):
        RunCommandSettings(commands=("echo", word))
    with pytest.raises(ValidationError, match="`cwd`"):
        RunCommandSettings(commands=(f"{word} logs",))


@pytest.mark.parametrize("word", ["shift", "read", "getopts", "mapfile", "declare", "local", "let", "unset", "jobs"])
def test_no_list_holds_what_sets_the_shells_variables(word: str) -> None:
    assert check_command(f"{word} PATH", CommandPolicy(commands=frozenset({word}), interpreters=True, workdir="/job"))
    with pytest.raises(ValidationError, match="never be allowed"):
        RunCommandSettings(commands=(word,))
