"""The POSIX sh programs that keep a local job: constants, run as `sh -c TEXT`; what comes from outside is an argument.

A job is a directory `<jobs>/<id>`; the files in it, each written whole by a rename:
`job.json` what was submitted, `script`, `node` the machine it belongs to (homes are shared), `launched/` (made once,
by whoever starts or cancels it first), `supervisor` and `payload` (process id, start in clock ticks, boot id; payload:
and the time), `timed-out` and `cancelled` (time), `exit` (status, time). The supervisor outlives the reconciler and
the connection.
"""

from __future__ import annotations

# A process is itself only with its start time and boot: ids are used again.
_COMMON = r"""
set -u
boot=; IFS= read -r boot </proc/sys/kernel/random/boot_id
note() { printf '%s\n' "$2" >".$1.$$" && mv -f ".$1.$$" "$1"; }
get() { line=; [ -f "$1" ] && IFS= read -r line <"$1"; }
begun() {
  ticks=
  IFS= read -r ticks 2>/dev/null <"/proc/$1/stat" || return 1
  set -f; set -- ${ticks##*) }; set +f
  [ "$1" != Z ] && [ "$1" != X ] && ticks=${20}
}
same() { [ "$3" = "$boot" ] && begun "$1" && [ "$ticks" = "$2" ]; }
lives() { get "$1" && [ -n "$line" ] && same $line; }
"""

#: arguments: jobs directory ("": the default); stdin: the script. Prints, NUL-ended: directory, id, node, home.
ALLOCATE = (
    _COMMON
    + r"""
dir=${1:-${XDG_STATE_HOME:-$HOME/.local/state}/reconciler/jobs}
umask 077; mkdir -p -- "$dir" && cd -- "$dir" || exit 1
last=0; get .last && last=$line
case $last in ''|*[!0-9]*) last=0;; esac
id=$((last + 1))
until mkdir "$id" 2>/dev/null; do [ -e "$id" ] || exit 1; id=$((id + 1)); done
note .last "$id"
cat >"$id/script" && chmod 700 "$id/script" && uname -n >"$id/node" || exit 1
printf '%s\0' "$PWD" "$id" "$(uname -n)" "$HOME"
"""
)

#: arguments: job directory, job.json in one line. The job exists from here on.
RECORD = _COMMON + r'umask 077; cd -- "$1" && note job.json "$2"'

# Arguments: id, name, working directory, stdout, stderr, open mode, limit in seconds or "", grace, script's arguments.
# It runs the script in the foreground: a shell lets what it starts with `&` ignore SIGINT for ever.
_PAYLOAD = (
    _COMMON
    + r"""
begun $$; note payload "$$ $ticks $boot $(date +%s)"
unset payload watch; cd -- "$1" || exit 1; shift; exec "$@"
"""
)
# Arguments: limit and grace in seconds. It is no parent of the script, as coreutils' `timeout` would be: a signal that
# is meant for the job's process group must not meet it.
_WATCH = (
    _COMMON
    + r"""
pause=; trap 'kill "$pause" 2>/dev/null; exit 0' TERM
rest() { sleep "$1" & pause=$!; wait "$pause"; }
until [ -f payload ]; do [ ! -f exit ] || exit 0; rest 0.1; done
rest "$1"
lives payload || exit 0
note timed-out "$(date +%s)"
group=${line%% *}
kill -s TERM -- "-$group"; kill -s CONT -- "-$group"
rest "$2"
lives payload && kill -s KILL -- "-$group"
"""
)
_SUPERVISE = (
    _COMMON
    + r"""
begun $$; note supervisor "$$ $ticks $boot"
watching=
finish() {
  [ -z "$watching" ] || kill "$watching" 2>/dev/null
  note exit "$1 $(date +%s)"; exit 0
}
[ ! -f cancelled ] || finish 0
export RECONCILER_JOB_ID="$1" RECONCILER_JOB_NAME="$2"
work=$3 out=$4 err=$5 mode=$6 limit=$7 grace=$8; shift 8
for file in "$out" "$err"; do
  ( [ "$mode" = append ] || : >"$file"; : >>"$file" ) 2>/dev/null || finish 1
done
set -- "$PWD/script" "$@"
[ -z "$limit" ] || { sh -c "$watch" sh "$limit" "$grace" </dev/null >/dev/null 2>&1 & watching=$!; }
setsid sh -c "$payload" sh "$work" "$@" </dev/null >>"$out" 2>>"$err"
status=$?
get payload && set -- $line && kill -s KILL -- "-$1" 2>/dev/null
finish "$status"
"""
)

#: arguments: job directory, LAUNCH_PROGRAMS, the supervisor's arguments. Starts nothing twice.
LAUNCH = (
    _COMMON
    + r"""
cd -- "$1" || exit 1
payload=$2 watch=$3 supervise=$4; shift 4; export payload watch
mkdir launched 2>/dev/null || exit 0
(cd launched && note at "$(date +%s)")
if setsid -f true 2>/dev/null; then setsid -f sh -c "$supervise" sh "$@" </dev/null >/dev/null 2>&1
else setsid sh -c "$supervise" sh "$@" </dev/null >/dev/null 2>&1 & fi
"""
)
LAUNCH_PROGRAMS = (_PAYLOAD, _WATCH, _SUPERVISE)

#: arguments: jobs directory ("": the default), seconds since the end at most (or ""), ids (none: all). Prints pairs.
LIST = (
    _COMMON
    + r"""
dir=${1:-${XDG_STATE_HOME:-$HOME/.local/state}/reconciler/jobs} age=$2; shift 2
printf 'directory %s\n' "$([ -d "$dir" ] && echo yes)"
[ -d "$dir" ] || exit 0
cd -- "$dir" || exit 1
node=$(uname -n) now=$(date +%s)
[ $# -gt 0 ] || set -- *
show() {
  get exit; over=$line
  [ -z "$over" ] || [ -z "$age" ] || [ "$((now - ${over##* }))" -le "$age" ] || return 0
  # Who is asked for is read once: a supervisor that appears between two looks must not pass for one that has died.
  get supervisor; supervisor=$line alive=
  if [ -z "$over" ]; then
    if { [ -n "$supervisor" ] && same $supervisor; } || lives payload; then alive=1; else get exit; over=$line; fi
  fi
  get job.json; printf 'job %s\njson %s\n' "$id" "$line"
  printf 'alive %s\nexit %s\nsupervisor %s\n' "$alive" "$over" "$supervisor"
  for file in payload timed-out cancelled launched/at; do get "$file"; printf '%s %s\n' "$file" "$line"; done
  [ -d launched ] && echo 'launched yes'
}
printf 'now %s\n' "$now"
for id in "$@"; do
  [ -f "$id/job.json" ] && get "$id/node" && [ "$line" = "$node" ] && cd -- "$id" || continue
  show
  cd .. || exit 1
done
exit 0
"""
)

#: arguments: job directory, grace in whole seconds. Ends the process group: TERM, then KILL. Prints one word.
CANCEL = (
    _COMMON
    + r"""
cd -- "$1" 2>/dev/null && [ -f job.json ] || { echo unknown; exit 0; }
if mkdir launched 2>/dev/null; then
  note cancelled "$(date +%s)"; note exit "0 $(date +%s)"; echo pending; exit 0
fi
[ ! -f exit ] || { echo ended; exit 0; }
note cancelled "$(date +%s)"
left=$(($2 * 10)) asked=
until [ -f exit ]; do
  if lives payload; then
    set -- $line
    if [ -z "$asked" ]; then asked=1; kill -s TERM -- "-$1"; kill -s CONT -- "-$1"
    elif [ "$left" -le 0 ]; then kill -s KILL -- "-$1"; fi
  elif ! lives supervisor && [ -f supervisor ]; then break
  fi
  [ "$left" -gt -50 ] || exit 1
  left=$((left - 1)); sleep 0.1
done
echo cancelled
"""
)

#: arguments: job directory, signal. Prints one word.
SIGNAL = (
    _COMMON
    + r"""
cd -- "$1" 2>/dev/null && lives payload || { echo ended; exit 0; }
signal=$2; set -- $line
kill -s "$signal" -- "-$1" && echo sent
"""
)

#: arguments: job directory, name of a file in it.
READ = r'cat -- "$1/$2"'
