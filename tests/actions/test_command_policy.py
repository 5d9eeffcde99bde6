"""What a run_command line may hold, judged by its text: every refusal with its reason, every example allowed."""

from __future__ import annotations

import pytest

from reconciler.logic.command import (
    DEFAULT_COMMANDS,
    CommandPolicy,
    CommandRefusedError,
    CommandSyntaxError,
    check_command,
    command_directory,
    read_command,
    render_command,
)

PLAIN = CommandPolicy(workdir="/job", directories=("/data/shared",))
CODE = CommandPolicy(workdir="/job", interpreters=True)

ALLOWED = [
    "cp -r ./checkpoints ./backups/checkpoint_$(date +%s)",
    "cp model.pt checkpoints/model_loss_$loss.pt",
    "cp best_model.pt milestones/model_95pct.pt",
    "echo hello world",
    "mkdir -p \U0001f600/größe && cp 模型.pt \U0001f600/größe",
    'echo é=1 \u00a0\u2003 "{\U0001f600" > größe.txt',
    "echo 'it''s' \"fine\" -n \\; and\\ so on",
    "echo -n no newline",
    "echo costs $$5",
    "echo loss is ${loss:-unknown}",
    "echo price: 5%, a=b, c@d, e:f",
    "ls",
    "ls -la --sort=size checkpoints",
    "ls *.pt [ab]*.txt model?.pt",
    "ls -1 | wc -l",
    "ls; date && echo done",
    "ls;",
    "date +%Y-%m-%d",
    "date -u -d yesterday +%s",
    "date -I",
    'echo "$(date -uIseconds) $loss" >> history.txt',
    "cat log.txt | grep -v debug | head -5 | tail -n 2",
    "cat ./log.txt 2>/dev/null",
    "cat log.txt > copy.txt 2>&1",
    "echo $loss >> history.txt",
    "wc -l < log.txt",
    "grep -c error log.txt",
    "grep -n -A 3 -e error -e fatal log.txt other.txt",
    "grep --include='*.log' -r error .",
    'grep -c "^done$|end$" log.txt',
    'echo "5$, 6$"',
    "grep --line-buffered error log.txt | tail -1",
    "find . -name '*.pt' -mtime +3",
    "find checkpoints backups -type f \\( -name a -o -name b \\) ! -empty -print0",
    "find . -newer model.pt -maxdepth 2",
    "find -L checkpoints -name '*.pt'",
    "find -H -P $loss -empty",
    "mkdir -p backups/$JOB_ID && cp *.pt backups/${JOB_ID}",
    "mkdir -m 750 private",
    "mv -t backups old.pt",
    "mv --target-directory=backups old.pt",
    "touch done_$1 -r model.pt",
    "touch -- -strange",
    "head -c 10 log.txt",
    "head --lines=$n log.txt",
    "tail -n$n log.txt",
    "cp /data/shared/a.pt /job/b.pt",
    "cp /job/model.pt .",
    "cp --backup=numbered --update=none a.pt b.pt",
    "cp -bi a.pt b.pt",
    "mv -b a.pt b.pt",
    "cp a..b c...d .hidden",
    'logger -t reconciler "job $JOB_ID: loss=$loss"',
    'logger "$(date): $loss"',
    "wandb sync --project=demo ./wandb/latest",
    "wandb sync --sync-all --no-mark-synced --include-globs='run-*' --id=$n",
    "wandb verify --host=https://wandb.example.org",
    "wandb status --no-settings",
    "wandb status",
]


@pytest.mark.parametrize("line", ALLOWED)
def test_an_honest_line_is_allowed_as_written_and_with_values(line: str) -> None:
    assert check_command(line, PLAIN) == ()
    values = {"loss": "5.73", "n": "3", "1": "x", "JOB_ID": "123_4"}
    assert render_command(line, PLAIN, values).source.endswith("exit $?\n")


CODE_ALLOWED = [
    "python eval.py --loss $loss",
    "python -u -O eval.py $loss",
    "python -m mypackage.eval --loss=$loss",
    "python -c 'import sys; print(sys.argv)' $loss",
    "python -X dev -W error eval.py",
    "python --version",
    "python -V",
    "python eval.py > eval.log 2>&1",
    "python eval.py --loss $loss >> eval_$step.log",
    "python eval.py 2> errors_$(date +%F).log",
    "python eval.py > /dev/null && python other.py 2>/dev/null",
    "cat log.txt 2>/dev/null | python eval.py | tail -1 > last.txt",
    "pip install -q wandb > /dev/null",
    "pip list > packages_$(date +%F).txt",
    "python eval.py > eval.log && cp eval.log kept.log; ls",
    "pip install --upgrade wandb",
    "uv run eval.py --step $step",
    "uv run --with numpy --python 3.12 python eval.py $step",
    "uv run -m mypackage.eval $step",
    "uv run --all-groups --env-file .env --index-url https://pypi.example.org -v eval.py $step",
    "uvx ruff check .",
    "uvx --from httpie http GET localhost",
    "echo $loss | python eval.py",
    "echo $loss | python -u -m mypackage.eval",
    "echo $loss | uv run --with numpy eval.py",
    "echo $loss | uv run -m mypackage.eval",
    "cat state.json | python -m json.tool",
    "echo $loss | python -m json.tool",
    "cat log.txt | python eval.py",
    "python eval.py < log.txt",
    "uv run pytest",
    "pip install wandb | tail -1",
    "mkdir -p out && python eval.py --out out",
    "python eval.py *.pt",
]


@pytest.mark.parametrize("line", CODE_ALLOWED)
def test_programs_that_run_code_are_allowed_where_the_settings_say_so(line: str) -> None:
    assert check_command(line, CODE) == ()
    assert render_command(line, CODE, {"loss": "5.73", "step": "3"})


@pytest.mark.parametrize("line", [line for line in CODE_ALLOWED if not line.startswith(("echo", "mkdir"))])
def test_programs_that_run_code_are_refused_elsewhere(line: str) -> None:
    assert "runs code" in check_command(line, PLAIN)[0]


REFUSED = {
    # what no plain line needs
    "echo `date`": "backticks",
    'echo "`date`"': "backticks",
    "ls & rm b": "'&'",
    "ls &": "'&'",
    "ls || rm x": "'||'",
    "ls || echo none": "'||'",
    "ls\nrm x": "line break",
    "ls\r\nrm x": "line break",
    "ls \x1b[0m": "control character",
    "ls\u2028rm x": "line break",
    "ls |& cat": "'|&'",
    "(ls)": "subshell",
    "{ ls; }": "compound",
    "! ls": "negated",
    "if true; then ls; fi": "if statement",
    "for x in a; do ls; done": "for statement",
    "while true; do ls; done": "while statement",
    "case x in x) ls;; esac": "case statement",
    "f() { ls; }": "function",
    "[ -f x ]": "test command",
    "[[ -f x ]]": "test command",
    "(( 1 ))": "not allowed",
    "ls # comment": "comment",
    "cat <<< text": "herestring",
    "cat << EOF": "no complete",
    "cat <(ls)": "process substitution",
    "echo >(cat)": "process substitution",
    "echo $((1 + 1))": "arithmetic",
    "echo $'a'": "ansi c string",
    'echo $"a"': "not allowed",
    "echo ${#x}": "expansion",
    "echo ${x/a/b}": "expansion",
    "echo ${!x}": "expansion",
    "echo $@": "not allowed",
    "echo $?": "not allowed",
    "echo {a,b}": "quote it",
    "echo a{1..9}": "not allowed",
    "ls >| x": "'>|'",
    "ls &> x": "'&>'",
    "ls 3> x": "file redirect",
    "ls >&-": "file redirect",
    "ls <> x": "complete",
    "cat 0<log.txt": "file redirect",
    "cat log.txt 0>x": "file redirect",
    'echo "$[1+1]"': "not allowed",
    "> x": "not allowed",
    "FOO=1 rm x": "variable assignment",
    "PATH=. ls": "variable assignment",
    "FOO=1": "variable assignment",
    "export FOO=1": "declaration",
    "unset PATH": "unset",
    "echo 'open": "complete",
    'echo "open': "complete",
    "ls &&": "complete",
    "&& ls": "complete",
    "ls | ": "complete",
    "ls ;; ls": "';;'",
    "": "no command",
    "   ": "no command",
    "ls ~/x": "~",
    "ls ~root": "~",
    # names
    "rm x": "'rm'",
    "lsof": "'lsof'",
    "ls2 x": "'ls2'",
    "/tmp/echo x": "'/tmp/echo'",
    "./echo x": "'./echo'",
    "../bin/ls": "'../bin/ls'",
    '"rm" x': "'rm'",
    "r''m x": "'rm'",
    "\\rm x": "'rm'",
    "'ls ' x": "'ls '",
    "LS": "'LS'",
    "echo $(rm x)": "'rm'",
    'echo "$(rm x)"': "'rm'",
    "echo $(echo $(rm x))": "'rm'",
    "cp x y_$(rm x)": "'rm'",
    "ls > $(rm x)": "'rm'",
    "ls | sh": "'sh'",
    "ls | xargs rm": "'xargs'",
    "ls && rm x": "'rm'",
    "ls; rm x": "'rm'",
    "env rm x": "'env'",
    "command rm x": "'command'",
    "eval rm x": "'eval'",
    "exec rm x": "'exec'",
    "builtin echo": "'builtin'",
    "source x": "'source'",
    ". x": "'.'",
    "time ls": "'time'",
    "nohup ls": "'nohup'",
    "sudo ls": "'sudo'",
    "bash -c ls": "'bash'",
    "cd /": "'cd'",
    "trap ls EXIT": "'trap'",
    "alias ls=rm": "'alias'",
    "printf x": "'printf'",
    "test -f x": "'test'",
    "uv pip install x": "'uv'",
    "uv --quiet run x": "'uv'",
    "$cmd x": "must be written out",
    "${cmd} x": "must be written out",
    "ec$x hello": "must be written out",
    "$(echo rm) x": "must be written out",
    '"$cmd" x': "must be written out",
    # paths
    "cat ../secret": "`..`",
    "cat a/../../secret": "`..`",
    "cat a/..": "`..`",
    "cat ..": "`..`",
    "cat '..'/x": "`..`",
    "cat .'.'/x": "`..`",
    "cat \\../x": "`..`",
    "cat /etc/passwd": "outside",
    "cat /job/../etc/passwd": "`..`",
    "cat /jobother/x": "outside",
    "cat //etc/passwd": "outside",
    "cat /data/x": "outside",
    "cat /*/passwd": "outside",
    "cat /e$x": "outside",
    "cat .*": "`..`",
    "cat .?/x": "`..`",
    "cat x/.*": "`..`",
    "cat $(date)*": "`..`",
    "cat $(date)../x": "`..`",
    "cat .$(date)./x": "`..`",
    "cat .$(date).$(date)/x": "`..`",
    "cp a /tmp/b": "outside",
    "cp -t /tmp a": "outside",
    "cp -t/tmp a": "outside",
    "cp -rt /tmp a": "outside",
    "cp --target-directory=/tmp a": "outside",
    "cp --target-directory /tmp a": "outside",
    "cp --targ=/tmp a": "--targ",
    "mv a /tmp": "outside",
    "mv /etc/passwd .": "outside",
    "touch /tmp/x": "outside",
    "touch -r /etc/passwd x": "outside",
    "mkdir /tmp/x": "outside",
    "grep x /etc/passwd": "outside",
    "grep -f /etc/passwd x": "outside",
    "grep --file=/etc/passwd x": "outside",
    "grep -e x /etc/passwd": "outside",
    "head /etc/passwd": "outside",
    "tail /etc/passwd": "outside",
    "wc /etc/passwd": "outside",
    "ls /root": "outside",
    "find / -name x": "outside",
    "find . -newer /etc/passwd": "outside",
    "date -r /etc/passwd": "outside",
    "echo x > /tmp/y": "outside",
    "echo x >> /etc/cron.d/y": "outside",
    "echo x > ../y": "`..`",
    "cat < /etc/passwd": "outside",
    "ls 2> /tmp/y": "outside",
    "echo $(cat /etc/passwd)": "outside",
    "wandb sync /etc": "outside",
    # options
    "find . -delete": "-delete",
    "find . -exec rm '{}' \\;": "-exec",
    "find . -exec rm {} \\;": "quote it",
    "find . -execdir rm x": "-execdir",
    "find . -ok rm x": "-ok",
    "find . -fprint x": "-fprint",
    "find . -fls x": "-fls",
    "find . -files0-from x": "-files0-from",
    "find . '-delete'": "-delete",
    "find . -d'elete'": "-delete",
    "find . -$x": "find",
    "find . -name": "lacks its value",
    "logger -n evil.example x": "-n",
    "logger --server=evil.example x": "--server",
    "logger -f log.txt": "-f",
    "date -s 12:00": "-s",
    "date --set=12:00": "--set",
    "date 12312359": "format",
    "date -f log.txt": "-f",
    "date -If log.txt": "format",
    "date -I$x": "option's name",
    "tail -f log.txt": "-f",
    "tail --follow log.txt": "--follow",
    "tail -F log.txt": "-F",
    "cp -s a b": "-s",
    "cp --symbolic-link a b": "--symbolic-link",
    "cp -l a b": "-l",
    "cp --suffix=/../x a b": "--suffix",
    "wc --files0-from=x": "--files0-from",
    "grep --unknown x y": "--unknown",
    "ls -$x": "option's name",
    "ls --$x": "option's name",
    "cp --tar$x=/tmp a": "option's name",
    "head -n": "lacks its value",
    "wandb login": "only",
    "wandb launch x": "only",
    "wandb $x": "only",
    "wandb sync -p x": "long options",
    "wandb sync --clean --clean-force": "deletes runs; leave it out",
    "wandb sync --clean-force": "deletes runs",
    "wandb sync --clean-old-hours=0 --clean": "deletes runs",
    "wandb sync --sync-all --clean-old-hours 0": "deletes runs",
    "wandb sync '--clean' wandb": "deletes runs",
    "wandb sync --cl''ean": "deletes runs",
    "wandb sync --cle": "not allowed",
    "wandb sync --new-option": "not allowed",
    "wandb sync --clean$x": "long options",
    "wandb verify --host=$x": "write it out",
    "wandb verify --host $x": "write it out",
}


@pytest.mark.parametrize(("line", "reason"), REFUSED.items(), ids=range(len(REFUSED)))
def test_everything_else_is_refused_and_says_why(line: str, reason: str) -> None:
    problems = check_command(line, PLAIN)
    assert problems
    assert reason in " ".join(problems)
    with pytest.raises((CommandRefusedError, CommandSyntaxError)):
        render_command(line, PLAIN, {"x": "1", "cmd": "echo"})


CODE_REFUSED = [
    "python $script",
    "python ${script}.py",
    "python -c $code",
    "python -c \"print('$code')\"",
    "python -m $module",
    "python -m my$module",
    "python $option eval.py",
    "python",
    "python -",
    "python -i eval.py",
    "python -cprint",
    "python -mpip",
    "python --version-of eval.py",
    "python $(cat name.txt)",
    "python -m timeit $code",
    "python -m pip install $package",
    "python -m pdb $x",
    "echo $code | python",
    "echo $code | python -",
    "echo $code | python -m pdb eval.py",
    "cat log.txt | python -m code",
    "tail -1 log.txt | uv run bash",
    "uv run bash < log.txt",
    "python -m asyncio < $file",
    "grep x log.txt | pip install -r /dev/stdin",
    "echo $(cat log.txt | uv run sh)",
    "python -m json.tool a.json $file",
    "echo $code | python -u -X dev -W error -m code",
    "echo $code | python -m asyncio",
    "echo $code | uv run bash",
    "echo $code | uv run --with numpy ipython",
    "echo $code | uv run --python 3.12 -m code",
    "echo $code | uv run python -m pdb eval.py",
    "echo $code | uvx --from xonsh xonsh",
    "python -m pydoc $module",
    "python -m inspect $module",
    "python -m pickle $file",
    "python -m pyclbr $module",
    "python -m zipapp $file",
    "python -m tarfile -e $file",
    "python -m compileall $file",
    "python -m webbrowser $url",
    "python -m http.server -d $dir",
    "uv run -m pydoc $module",
    "uv run python -m inspect $module",
    "python /dev/stdin",
    "python /tmp/x.py",
    "python ../x.py",
    "pip install $package",
    "pip install -r $file",
    "pip $sub",
    "uvx $tool",
    "uvx --from $package tool",
    "uvx --with=$package tool",
    "uvx python -c $code",
    "uvx tool $x",
    "uv run $x",
    "uv run $x.py",
    "uv run --with $package eval.py",
    "uv run python -c $code",
    "uv run bash -c $code",
    "uv run -m $module",
    "uv run --unknown eval.py",
    "uv run -",
    "uv run",
    "echo $code > eval.py && python eval.py",
    "python eval.py $x > eval.py",
    "python eval.py $x >> run_$x.sh",
    "python eval.py > $(cat name.txt)",
    "python eval.py > eval.log; python other.py",
    "python eval.py 2> eval.log | python other.py",
    "cat log.txt > eval.log | python eval.py",
    "echo $(python eval.py > eval.log)",
    "echo $(python eval.py) > eval.log",
    "pip list > $x",
    "uv run pytest > results/$x.log",
    "python eval.py > eval.log && cat eval.log > other.log",
    "python eval.py; echo $x > log.txt",
    "python eval.py > /etc/eval.log",
    "python -V $x",
    "uv run --directory elsewhere eval.py",
    "echo x >> eval.py; python eval.py",
    "cp $x eval.py && python eval.py",
    "mv old_$(date +%s).py eval.py && python eval.py",
    "python eval.py $(find . -exec rm x)",
]


@pytest.mark.parametrize("line", CODE_REFUSED)
def test_no_value_becomes_a_program_its_code_its_module_or_a_package(line: str) -> None:
    assert check_command(line, CODE)


@pytest.mark.parametrize(
    ("line", "values", "reason"),
    [
        ("cp model.pt $dest", {"dest": "/etc/passwd"}, "outside"),
        ("cp model.pt $dest", {"dest": "../x"}, "`..`"),
        ("cp model.pt backups/$dest", {"dest": "../../x"}, "`..`"),
        ("cp model.pt .$dest/x", {"dest": "."}, "`..`"),
        ("cp model.pt $a$b/x", {"a": ".", "b": "."}, "`..`"),
        ("cp model.pt $dest*", {"dest": "."}, "`..`"),
        ("cat $file", {"file": "-n"}, "dash"),
        ("cat ${a}-n", {"a": ""}, "dash"),
        ("cp $a b", {"a": "--target-directory=/tmp"}, "dash"),
        ("ls -$x", {"x": "l"}, "option's name"),
        ("head -n $n log.txt", {"n": "-5"}, "dash"),
        ("find $where", {"where": "-delete"}, "find"),
        ("find $where -name x", {"where": "-L"}, "dash"),
        ("find $where", {"where": "-H"}, "dash"),
        ("find -P $where", {"where": "-L"}, "dash"),
        ("find $where . -name x", {"where": "-P"}, "dash"),
        ("find ${where}-L .", {"where": ""}, "dash"),
        ("find . -name $name", {"name": "-delete"}, "dash"),
        ("find . $test", {"test": "-delete"}, "find"),
        ("find $where -name x", {"where": "("}, "find"),
        ("mkdir $d", {"d": "/job2"}, "outside"),
        ("echo x > $f", {"f": "/etc/x"}, "outside"),
        ("echo x > $f", {"f": "a/../../x"}, "`..`"),
        ("date $f", {"f": "12312359"}, "format"),
        ("date $f", {"f": "+%s"}, "format"),
        ("wandb sync $d", {"d": "--x"}, "dash"),
    ],
)
def test_a_value_is_judged_where_it_will_stand(line: str, values: dict[str, str], reason: str) -> None:
    with pytest.raises(CommandRefusedError, match=reason):
        render_command(line, PLAIN, values)


def test_a_program_that_runs_code_prints_into_no_script_whatever_a_value_makes_of_its_name() -> None:
    line = "python eval.py > results/$x"
    assert check_command(line, CODE) == ()
    assert render_command(line, CODE, {"x": "a.log"})
    for name in ("run.py", "a.log.sh", "../a.log"):
        with pytest.raises(CommandRefusedError):
            render_command(line, CODE, {"x": name})


#: What no output chooses and no capture overrides.
BUILT_IN = {"JOB_ID": "123_4", "HOSTNAME": "hpc1.example.org", "JOB_STATE": "running", "TRIGGER": "match"}


@pytest.mark.parametrize(
    "line",
    [
        "mkdir -p out/$x && python eval.py --out=out/$x",
        "cp model.pt eval_${x}.pt; uv run eval.py",
        "python -m mypackage.eval $x",
        "python eval_$x.py",
        "uv run pytest --job=$x",
        "ls ckpt_$x* && python eval.py",
    ],
)
def test_the_id_of_the_job_and_its_like_are_as_good_as_written_by_the_author(line: str) -> None:
    for name in BUILT_IN:
        written = line.replace("$x", f"${name}").replace("${x}", f"${{{name}}}")
        assert check_command(written, CODE) == ()
        assert BUILT_IN[name] in render_command(written, CODE, BUILT_IN).arguments


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("uv run pytest $JOB_NAME", {"JOB_NAME": "train"}),
        ("uv run pytest $WATCHER", {"WATCHER": "train"}),
        ("uv run pytest ${JOB_ID:-$x}", {"JOB_ID": "1"}),
        ("uv run pytest $JOB_ID", {}),
        ("uv run pytest $JOB_ID", {"JOB_ID": ""}),
        ("uv run pytest $JOB_ID", {"JOB_ID": "-p"}),
        ("uv run pytest $HOSTNAME", {"HOSTNAME": "a/../b"}),
        ("$JOB_STATE x", {"JOB_STATE": "python"}),
    ],
)
def test_no_other_value_is(line: str, values: dict[str, str]) -> None:
    with pytest.raises(CommandRefusedError):
        render_command(line, CODE, values)


def test_a_program_that_runs_what_it_is_given_may_print_into_a_log_of_this_job() -> None:
    assert render_command("pip list > packages_$JOB_ID.txt", CODE, BUILT_IN).arguments == ("123_4",)


def test_an_argument_to_a_script_does_not_begin_with_a_captured_dash() -> None:
    with pytest.raises(CommandRefusedError, match="dash"):
        render_command("python eval.py $x", CODE, {"x": "--output=/etc/passwd"})
    assert render_command("python eval.py --x=$x", CODE, {"x": "-5"}).arguments == ("-5",)


def test_values_are_parameters_and_never_part_of_the_script() -> None:
    script = render_command("echo $a; cp $b 'to $a'", PLAIN, {"a": "$(touch x)", "b": "q'uo`te\n"})
    assert script.arguments == ("$(touch x)", "q'uo`te\n")
    assert "touch" not in script.source
    assert "te\n" not in script.source


def test_an_unknown_name_stays_as_written_and_a_group_that_took_no_part_is_empty() -> None:
    script = render_command("echo $HOME ${LD_PRELOAD} $none", PLAIN, {"none": None})
    assert script.arguments == ("$HOME", "${LD_PRELOAD}", "")


def test_paths_that_hang_on_the_unknown_working_directory_are_left_to_the_run() -> None:
    unknown = CommandPolicy(directories=("/data",))
    assert check_command("cat /home/me/job/log.txt", unknown) == ()
    assert check_command("cat /home/me/../x", unknown)


def test_commands_of_the_operator_count_as_code_and_are_matched_by_whole_words() -> None:
    own = CommandPolicy(commands=frozenset({"nvidia-smi", "git status"}), interpreters=True, workdir="/w")
    assert check_command("nvidia-smi -L", own) == ()
    assert check_command("git status -s", own) == ()
    assert check_command("git push", own)
    assert check_command("nvidia-smi2", own)
    assert check_command("echo hello", own), "the list of the settings replaces the default one"
    plain = CommandPolicy(commands=frozenset({"nvidia-smi"}), workdir="/w")
    assert "runs code" in check_command("nvidia-smi", plain)[0]


def test_runs_are_deleted_where_the_settings_list_that_and_only_by_watchers_that_may_run_code() -> None:
    own = CommandPolicy(commands=DEFAULT_COMMANDS | {"wandb sync"}, interpreters=True, workdir="/w")
    assert check_command("wandb sync --clean --clean-old-hours=48 --clean-force", own) == ()
    assert render_command("wandb sync --clean", own, {}).source.count("'wandb' 'sync' '--clean'") == 1
    assert check_command("wandb sync --clean /etc", own)
    assert check_command("wandb sync --clean$x", own)
    elsewhere = CommandPolicy(commands=own.commands, workdir="/w")
    assert "runs code" in check_command("wandb sync --clean", elsewhere)[0]


def test_a_shell_that_an_operator_allowed_meets_no_captured_value() -> None:
    own = CommandPolicy(commands=DEFAULT_COMMANDS | {"sh"}, interpreters=True, workdir="/w")
    assert check_command("sh tidy.sh", own) == ()
    assert check_command("sh -c $x", own)
    assert check_command("echo $x | sh", own)
    assert check_command("echo x > y.sh; sh y.sh", own)


def test_what_hides_a_command_is_refused_whatever_the_settings_say() -> None:
    for word in ("eval", "exec", ".", "source", "command", "builtin", "alias", "trap"):
        assert check_command(f"{word} x", CommandPolicy(commands=frozenset({word}), interpreters=True, workdir="/w"))


def test_a_line_is_bounded_in_length_depth_and_commands() -> None:
    assert check_command("echo " + "a" * 10_001, PLAIN)
    assert check_command("echo " + "$(echo " * 6 + "x" + ")" * 6, PLAIN)
    assert check_command("; ".join(["ls"] * 51), PLAIN)
    assert check_command("echo " + "$(" * 3000, PLAIN)


def test_placeholders_cannot_be_forged() -> None:
    for text in ("echo \ue0000\ue001", "echo \ue002", "echo \ud800"):
        with pytest.raises(CommandSyntaxError):
            read_command(text)


def test_a_backslash_before_a_value_is_refused_outside_quotes_and_kept_inside() -> None:
    assert check_command("echo \\$x", PLAIN)
    assert "'a\\'\"${1}\"" in render_command("cat 'a\\$x'", PLAIN, {"x": "v"}).source


def test_the_directory_to_run_in_lies_where_files_may_be_named() -> None:
    assert command_directory(None, PLAIN) == "/job"
    assert command_directory("sub", PLAIN) == "/job/sub"
    assert command_directory("/data/shared/x", PLAIN) == "/data/shared/x"
    assert command_directory("/data/shared/x", CommandPolicy(directories=("/data",))) == "/data/shared/x"
    for outside in ("/etc", "../x", "a/../../b"):
        with pytest.raises(CommandRefusedError):
            command_directory(outside, PLAIN)
    with pytest.raises(CommandRefusedError, match="not known"):
        command_directory(None, CommandPolicy())
