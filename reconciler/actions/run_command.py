"""run_command: runs a line of allowed programs on the job's host, in the job's working directory.

The line is read, judged and written anew by `logic.command`; captured values travel as arguments of the shell, never
as its text, here and over SSH alike. Refuses jobs of other users, and everything that the settings' allow-list does
not hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, field_validator

from reconciler.actions._ours import refuse_foreign_job
from reconciler.actions._rendered import read
from reconciler.errors import HostUnreachableError, PermanentActionError, TemporaryActionError
from reconciler.logic.command import (
    DEFAULT_COMMANDS,
    MARK,
    MOVING,
    NEVER,
    CommandPolicy,
    CommandRefusedError,
    CommandSyntaxError,
    check_command,
    check_directory,
    command_directory,
    doubt_command,
    read_command,
    render_command,
)
from reconciler.protocols import ActionContext, ActionTraits, AfterCrash, Completed, Limit
from reconciler.registry import Plugin
from reconciler.settings import Duration, Section
from reconciler.spec.watcher import ActionSpec, SpecModel

SourceKind = Literal["directory", "git", "api", "script"]
ProgramName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*( [A-Za-z0-9_][A-Za-z0-9_.+-]*)?$")
]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class RunCommandSettings(Section):
    """`actions.run_command` in the settings: what may run, where, and for how long."""

    commands: Annotated[
        tuple[ProgramName, ...],
        Field(description="programs by whole word, or by two (`uv run`); replaces the default list"),
    ] = tuple(sorted(DEFAULT_COMMANDS))
    interpreter_sources: Annotated[
        tuple[SourceKind, ...], Field(description="kinds of source whose watchers may use programs that run code")
    ] = ("directory",)
    directories: Annotated[
        tuple[AbsolutePath, ...], Field(description="beside the job's working directory, where files may be named")
    ] = ()
    path: Annotated[str, Field(min_length=1, description="PATH of every command")] = "/usr/local/bin:/usr/bin:/bin"
    env: Annotated[Mapping[VariableName, str], Field(description="further variables of every command")] = Field(
        default_factory=dict
    )
    timeout: Annotated[Duration, Field(gt=0, le=3600, description="a command is ended after so long")] = 120.0
    output_bytes: Annotated[int, Field(ge=256, le=1_000_000, description="kept of each output in the record")] = 4096

    @field_validator("commands")
    @classmethod
    def _no_builtins(cls, commands: tuple[str, ...]) -> tuple[str, ...]:
        listed = {command.split()[0] for command in commands}
        if moving := sorted(MOVING & listed):
            raise ValueError(f"{', '.join(moving)}: can never be allowed; watchers name a directory in `cwd`")
        if hidden := sorted(NEVER & listed):
            raise ValueError(f"{', '.join(hidden)}: commands that would hide what they run can never be allowed")
        return commands

    def policy(self, source: str, workdir: str | None = None) -> CommandPolicy:
        """Return what a watcher from `source` (`git:...`, `directory:...`) may run for a job that works here."""
        return CommandPolicy(
            commands=frozenset(self.commands),
            interpreters=source.partition(":")[0] in self.interpreter_sources,
            directories=self.directories,
            workdir=workdir,
        )


class RunCommandParams(SpecModel):
    """What runs, and where."""

    command: Annotated[str, Field(min_length=1, max_length=10_000, description="one shell line of allowed programs")]
    idempotent: Annotated[
        bool, Field(description="running it twice is as good as once: it may be repeated after a crash or a lost host")
    ] = False
    cwd: Annotated[str | None, Field(description="directory to run in; relative: to the job's working directory")] = (
        None
    )
    timeout: Annotated[Duration | None, Field(gt=0, description="shorter than the settings' timeout")] = None

    @field_validator("command")
    @classmethod
    def _readable(cls, command: str) -> str:
        # What no settings could allow is wrong in the file already, with line and column.
        try:
            read_command(command)
        except CommandSyntaxError as error:
            raise ValueError(str(error)) from None
        return command


class RunCommandSpec(ActionSpec):
    """Run a command on the job's host."""

    type: Literal["run_command"]
    params: RunCommandParams


class RenderedCommandParams(RunCommandParams):
    """The same after rendering: the command is judged from its template, so its rendered text is nobody's business."""

    @field_validator("command")
    @classmethod
    def _readable(cls, command: str) -> str:
        return command


class RunCommand:
    """Runs one line; see `logic.command` for what it may hold."""

    def __init__(self, settings: RunCommandSettings) -> None:
        self._settings = settings

    async def run(self, context: ActionContext) -> str:
        """Run and return exit status and output. A status other than 0 is a PermanentActionError."""
        template = str(context.template["command"])
        params = read(RenderedCommandParams, {**context.params, "command": template})
        await refuse_foreign_job(context)
        policy = self._settings.policy(context.watcher.origin.source, context.job.workdir)
        try:
            cwd = command_directory(params.cwd, policy)
            script = render_command(template, policy, context.values)
        except (CommandSyntaxError, CommandRefusedError) as error:
            raise PermanentActionError(
                f"refused: {error}", refused=True, remedy="see the README of the actions"
            ) from error
        account = await context.scheduler.account()
        source = _home_of(account) + script.source
        return _told(await self._execute(context, params, cwd, source.encode(), script.arguments), self._settings)

    async def _execute(
        self, context: ActionContext, params: RunCommandParams, cwd: str, source: bytes, arguments: tuple[str, ...]
    ) -> Completed:
        timeout = min(self._settings.timeout, params.timeout or self._settings.timeout)
        try:
            return await context.transport.run(
                ["/bin/sh", "-s", "--", *arguments],
                stdin=source,
                timeout=timeout,
                cwd=cwd,
                env=self._environment(context),
                limit=self._settings.output_bytes,
            )
        except TimeoutError as error:
            raise PermanentActionError(f"ended after {timeout:g} s without a result") from error
        except HostUnreachableError as error:
            if params.idempotent:
                raise TemporaryActionError(f"the host was lost while the command ran: {error}") from error
            raise PermanentActionError(
                f"the host was lost, and whether the command ran is not known: {error}",
                remedy="declare `idempotent: true` where running it twice does no harm",
            ) from error

    def _environment(self, context: ActionContext) -> Mapping[str, str]:
        """Return the whole environment: nothing of ours, and nothing that was captured."""
        return {
            "LANG": "C.UTF-8",
            **self._settings.env,
            "PATH": self._settings.path,
            "RECONCILER_JOB_ID": context.job.id,
            "RECONCILER_JOB_NAME": context.job.name.replace("\0", ""),
            "RECONCILER_WATCHER": context.watcher.name.replace("\0", ""),
        }


def _home_of(account: str) -> str:
    """Return shell text that sets HOME and USER as the host itself knows them: over SSH we do not know the home."""
    if not _ACCOUNT.fullmatch(account):
        return ""
    return f"HOME=~{account} USER={account} LOGNAME={account}\nexport HOME USER LOGNAME\n"


def _told(done: Completed, settings: RunCommandSettings) -> str:
    errors = done.stderr.decode(errors="replace")
    if MARK in errors:
        raise PermanentActionError(f"refused: {errors.strip()}", refused=True)
    said = "\n".join(filter(None, (done.stdout.decode(errors="replace").rstrip("\n"), errors.rstrip("\n"))))
    cut = f"\n(cut at {settings.output_bytes} bytes)" if done.cut else ""
    result = f"exit status {done.status}" + (f"\n{said}" if said else "") + cut
    if done.status != 0:
        raise PermanentActionError(result)
    return result


def make(section: BaseModel | None, channels: Mapping[str, Any]) -> RunCommand:
    """Return the action under these settings."""
    return RunCommand(section if isinstance(section, RunCommandSettings) else RunCommandSettings())


def check(params: BaseModel, section: BaseModel | None, channels: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """Return what the settings forbid in a watcher from `source`, as far as its text tells."""
    settings = section if isinstance(section, RunCommandSettings) else RunCommandSettings()
    if not isinstance(params, RunCommandParams):
        return ()
    problems = check_command(params.command, settings.policy(source))
    return problems if params.cwd is None else (*problems, *check_directory(params.cwd))


def doubt(params: BaseModel, section: BaseModel | None, source: str, numbers: Set[str]) -> tuple[str, ...]:
    """Return what would be refused for some values."""
    settings = section if isinstance(section, RunCommandSettings) else RunCommandSettings()
    if not isinstance(params, RunCommandParams):
        return ()
    return doubt_command(params.command, settings.policy(source), numbers)


PLUGIN = Plugin(
    "run_command",
    RunCommandSpec,
    make,
    settings=RunCommandSettings,
    traits=ActionTraits(limit=Limit.DROP, after_crash=AfterCrash.ASK_SPEC, retry=True),
    check=check,
    doubt=doubt,
)
