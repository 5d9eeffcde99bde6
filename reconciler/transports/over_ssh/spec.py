"""What an operator may set about a host that is reached over SSH: `transport: {type: ssh, ...}`. Models only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from reconciler.settings import Duration, Section

# A name that begins with `-`, or holds spaces, is never a host's or a user's.
Address = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:\[][A-Za-z0-9._:%\[\]-]{0,254}$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._@$\\-]{0,63}$")]
Jump = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._@$\\-]*@)?[A-Za-z0-9\[][A-Za-z0-9._:%\[\]-]*$")
]
LookoutKind = Literal["python3", "perl", "sftp"]


class SshTransportSpec(Section):
    """`transport: {type: ssh}`: what is left out comes from the OpenSSH configuration, as for `ssh HOST`."""

    type: Literal["ssh"] = "ssh"
    address: Address | None = Field(
        None, description="name, alias of the OpenSSH configuration, or IP; default: the host's name"
    )
    port: int | None = Field(None, ge=1, le=65535)
    user: UserName | None = None
    identity_files: tuple[Path, ...] = Field((), description="private keys, tried beside those of the agent")
    known_hosts: Path | None = Field(None, description="default: what the configuration says, else ~/.ssh/known_hosts")
    config_file: Path | None = Field(None, description="default: ~/.ssh/config, then /etc/ssh/ssh_config")
    jump: tuple[Jump, ...] | None = Field(
        None, description="[USER@]HOST[:PORT] to go through, in order; default: ProxyJump of the configuration"
    )
    connect_timeout: Duration = Field(20.0, gt=0, description="for the way through all jumps, keys included")
    answer_timeout: Duration = Field(
        30.0, gt=0, description="silence in an answer, after which the host counts as gone"
    )
    keepalive_interval: Duration = Field(15.0, description="three unanswered ones end the connection; 0: none are sent")
    max_sessions: int = Field(
        10, ge=3, le=1000, description="at once on the one connection; sshd's own MaxSessions is 10"
    )
    retry_after: Duration = Field(1.0, gt=0, description="the first pause after a failure; it doubles, and is jittered")
    retry_at_most: Duration = Field(60.0, gt=0, description="the longest pause between two attempts to connect")
    look_bytes: int = Field(
        16 * 1024 * 1024, ge=65_536, le=1024 * 1024 * 1024, description="one look brings so much of all files together"
    )
    lookouts: tuple[LookoutKind, ...] = Field(
        ("python3", "perl", "sftp"), min_length=1, description="what may look at files on the host, best first"
    )
