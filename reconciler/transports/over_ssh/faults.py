"""What went wrong on the way to a host, as one error of ours that says what to do. The edge: no other file names these.

Nothing here decides by a message's text; asyncssh's own classes and codes do.
"""

from __future__ import annotations

import socket

import asyncssh

from reconciler.errors import HostUnreachableError

#: Everything that asyncssh, the sockets beneath it and its reading of keys and configuration raise.
FAULTS = (asyncssh.Error, asyncssh.ConfigParseError, asyncssh.KeyImportError, OSError, TimeoutError)


def unreachable(
    host: str, error: BaseException, *, target: str, port: int, known_hosts: str = ""
) -> HostUnreachableError:
    """Return the error to raise `from` this one. `target` and `port` are where the connection was to go."""
    return HostUnreachableError(
        f"{host}: {_what(error, f'{target}:{port}')}",
        remedy=_remedy(error, target=target, port=port, known_hosts=known_hosts),
    )


def _what(error: BaseException, place: str) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return f"connection refused by {place}"
    text = str(getattr(error, "reason", "") or getattr(error, "strerror", "") or error)
    return text or type(error).__name__


def _remedy(error: BaseException, *, target: str, port: int, known_hosts: str) -> str:
    way = f"-p {port} {target}"
    known = known_hosts or "~/.ssh/known_hosts"
    name = target if port == 22 else f"[{target}]:{port}"
    for kinds, text in (
        (
            asyncssh.HostKeyNotVerifiable,
            f"a new host: run `ssh {way}` once and compare the fingerprint, or `ssh-keyscan {way} >> {known}`"
            f" on a network that you trust; a host that was set up anew: first `ssh-keygen -f {known} -R '{name}'`",
        ),
        (
            asyncssh.PermissionDenied,
            f"see with `ssh -v {way}` which keys are offered; load one with `ssh-add`, or set `user`, `identity_files`",
        ),
        (asyncssh.KeyImportError, "check the file, and load an encrypted key into the agent with `ssh-add`"),
        (asyncssh.ConfigParseError, "mend that line, or name another file as the transport's `config_file`"),
        (
            asyncssh.ChannelOpenError,
            "lower the transport's `max_sessions` to MaxSessions of the host's sshd; a jump host must allow forwarding",
        ),
        (ConnectionRefusedError, f"is sshd running, and is {port} its port? `ssh {way}` tells"),
        (socket.gaierror, f"check the name {target!r}, or set `address`"),
        (TimeoutError, f"check that `ssh {way}` answers; a slow host may need a longer `connect_timeout`"),
    ):
        if isinstance(error, kinds):
            return text
    return f"check that `ssh {way}` works; it is tried again by itself"
