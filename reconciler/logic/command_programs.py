"""Which programs and modules of Python run what they are given: lists and patterns, nothing else.

Used by `command` and `command_interpreters`. No list is complete, so a module that stands in none takes captured values
only where they can name nothing that runs (`command_interpreters`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

from reconciler.logic.command_tools import names

#: Builtins of the shell that would take a command out of our sight: no list may hold them.
NEVER = names(
    "eval exec . source command builtin alias unalias trap set export readonly enable hash type shopt shift read"
    " getopts mapfile readarray declare typeset local unset let fc bind complete compgen jobs coproc cd pushd popd"
)
#: Those of them after which the later words of a line lead elsewhere than they were judged for.
MOVING = names("cd pushd popd")

#: What runs code under its own name and by `python -m` alike.
_TOOLS_OF_PYTHON = names(
    "IPython accelerate ansible arq asv bpython celery cloudpickle colossalai coverage cython cythonize dask daphne"
    " debugpy deepspeed distributed django doit dramatiq fabric fire flask gevent gunicorn hatch honcho horovod huey"
    " hupper hypercorn invoke ipdb ipykernel ipyparallel ipython joblib jupyter jupyter_client jupyter_core jupyterlab"
    " kernprof lightning line_profiler locust luigi memory_profiler memray mkdocs mpi4py mypy nbclient nbconvert nose"
    " nose2 notebook nox numba numpy panel papermill pdm pexpect pip pipenv pipx plumbum poetry pre_commit prefect"
    " ptpython pudb py_spy pyinstrument pylint pyperf pytest pytorch_lightning pyximport ray rq scalene scrapy"
    " setuptools sh snakemake sphinx streamlit tensorboard torch torchrun tornado tox transformers twisted uv uvicorn"
    " uwsgi virtualenv viztracer voila vprof waitress watchfiles xdist xonsh yappi bentoml chainlit dvc gradio guild"
    " jupytext kedro marimo metaflow mlflow modal"
)
#: Modules that run, import or unpickle what they read or are given as arguments: every one of Python's own may.
_RUNNING_MODULES = sys.stdlib_module_names | _TOOLS_OF_PYTHON | names("asynchat asyncore distutils imp lib2to3 smtpd")
#: Modules of them that take their input for data alone; their arguments are written by the author all the same.
HARMLESS = names("json.tool base64")

#: Programs for which there is no argument that is only data: whole names, without a version.
_CLOSED = _TOOLS_OF_PYTHON | names(
    # starters of other programs
    "env xargs sudo su doas runuser pkexec nohup time timeout nice ionice setsid stdbuf parallel watch chroot unshare"
    " nsenter setpriv setarch linux32 linux64 chrt prlimit catchsegv script busybox toybox screen tmux dtach entr"
    " systemd-run firejail bwrap proot fakeroot faketime dbus-run-session dbus-launch xvfb-run unbuffer expect sshpass"
    " autossh start-stop-daemon daemonize cpulimit cgexec chpst tini dumb-init gosu su-exec ssh-agent tsp eatmydata"
    " hyperfine watchexec flock run-parts at batch crontab ssh scp sftp rsync rsh pdsh clush mosh socat ncat nc"
    " srun sbatch salloc sattach qsub bsub flux aprun jsrun docker podman nerdctl apptainer singularity enroot shifter"
    " hadoop spark-submit kubectl ansible-playbook"
    # debuggers and profilers
    " gdb gdbserver cgdb lldb ltrace valgrind perf rr nsys ncu nvprof heaptrack uftrace"
    # interpreters that go by no pattern, builders, editors and viewers
    " awk gawk mawk nawk sed bc dc m4 ed ex vi vim nvim view vimdiff emacs emacsclient nano less more most man R"
    " Rscript julia octave matlab maple mathematica wolframscript gnuplot gp sage maxima guile sbcl racket ocaml swipl"
    " erl elixir iex scala groovy kotlin java jshell dotnet mono wine raku ghci runghc sqlite duckdb psql mysql"
    " make gmake cmake ninja bazel scons rake gradle mvn ant just task meson gcc cc clang nvcc g++ c++ clang++ rustc"
    " tar zip git hg svn gpg openssl ffmpeg convert magick mogrify gs tex latex pdflatex xelatex lualatex latexmk"
    " pandoc libreoffice soffice"
    # what takes a recipient, a file or a line of its own for a command
    " mail mailx Mail nail s-nail mutt neomutt sendmail ftp lftp fzf tcpdump tshark logrotate"
    # what brings in packages
    " conda mamba micromamba pip npm npx yarn pnpm bun bunx deno rye pixi cargo go gem bundle bundler composer cpan"
    " brew apt apt-get aptitude dpkg dnf yum rpm zypper apk pacman nix nix-shell guix spack eb snap flatpak rustup rez"
    " module pip-compile pip-sync"
)
#: Programs that start a Python script, which the author may give captured values behind its name.
_LAUNCHERS = names(
    "torchrun accelerate deepspeed horovodrun mpirun mpiexec orterun prun prterun taskset numactl strace"
)
_OWN = re.compile(r".*\.(?:sh|bash|py|pl|rb|js|lua|R|php|tcl)")  # somebody's script, whatever it is called
_VERSION = re.compile(r"[-.]?[0-9][0-9.]*(?:[a-z]|[-_].*)?$|\.[a-z]+$|-(?:dbg|debug|static|cli|preview)$")
_SHELL = re.compile(r"[a-z]*sh")
_PYTHON = names("python pythonw pypy")
_INTERPRETERS = names("perl ruby irb node nodejs lua luajit php tclsh wish") | _PYTHON

#: Options that name code for most programs that know them, by `--NAME=VALUE` or `--NAME VALUE`.
_CODE_OPTIONS = names(
    "app application checkpoint-action cmd command compress-program eval exec exec-batch execute init-file module pager"
    " plugin pre preload program python rcfile require rsh rsync-path script shell to-command use-compress-program"
)
#: Further options of single programs, which name what is run, or a file that is written or read for orders.
_OPTIONS: Mapping[str, frozenset[str]] = {
    "sort": names("o output T temporary-directory files0-from compress-program"),
    "shuf": names("o output"),
    "rg": names("f file ignore-file hostname-bin"),
    "fd": names("x X ignore-file"),
    "jq": names("f from-file L"),
    "curl": names(
        "F form o output output-dir K config T upload-file D dump-header c cookie-jar trace trace-ascii stderr"
        " w write-out etag-save libcurl hsts alt-svc engine"
    ),
    "wget": names(
        "O output-document o output-file a append-output P directory-prefix i input-file e config use-askpass"
        " save-cookies warc-file rejected-log hsts-file"
    ),
    "nvidia-smi": names("f filename"),
    "split": names("filter"),
    "diff": names("diff-program"),  # diff3
    "sdiff": names("diff-program"),
    "tree": names("o"),
    "printf": names("v"),
    "test": names("v"),
    "wait": names("p"),
}
#: Programs whose arguments name files that are written, changed or deleted.
_WRITERS = names(
    "tee dd truncate ln link rm rmdir unlink shred install chmod chown chgrp setfacl split csplit uniq gzip gunzip"
    " bzip2 bunzip2 xz unxz zstd unzstd unzip mkfifo mktemp rename patch pigz unpigz lz4 unlz4 lzip cpio pax ar xxd"
    " iconv sponge"
)
#: Programs that read a file where a word begins as they like (`@log`, `file:`).
_FETCHERS = names("curl wget")


def is_python(name: str) -> bool:
    """Tell whether a program is Python, whatever its version."""
    return _stem(name) in _PYTHON


def is_launcher(name: str) -> bool:
    """Tell whether a program starts the script that its arguments name."""
    return _stem(name) in _LAUNCHERS


def is_writer(name: str) -> bool:
    """Tell whether a program's arguments name files that it writes, changes or deletes."""
    return _stem(name) in _WRITERS


def is_fetcher(name: str) -> bool:
    """Tell whether the beginning of an argument decides what a program reads."""
    return name in _FETCHERS


def is_closed(name: str) -> bool:
    """Tell whether a program, Python and launchers apart, may run whatever it is given."""
    stem = _stem(name)
    if stem in _LAUNCHERS | _PYTHON:
        return False
    return bool({name, stem} & (_CLOSED | _INTERPRETERS)) or _SHELL.fullmatch(stem) is not None


def is_script(name: str) -> bool:
    """Tell whether a file is somebody's script, by its name."""
    return _OWN.fullmatch(name) is not None


def is_running_module(module: str) -> bool:
    """Tell whether a module of Python is known to run what it reads or is given."""
    return module.split(".")[0] in _RUNNING_MODULES


def names_code(program: str, option: str) -> bool:
    """Tell whether an option (`--pre`, `-uo`) of a program may name code, or a file that is written.

    A program's own long ones may be cut short; of short ones that stand together, the last takes the value.
    """
    own = _OPTIONS.get(_stem(program), frozenset())
    name = option.lstrip("-")
    if not option.startswith("--"):
        return name in _CODE_OPTIONS or name[-1:] in own
    return name in _CODE_OPTIONS or (name != "" and any(len(full) > 1 and full.startswith(name) for full in own))


def _stem(name: str) -> str:
    return name if _OWN.fullmatch(name) else _VERSION.sub("", name)
