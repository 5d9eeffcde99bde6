"""Deciding, from a checkpoint and one look, whether a file grew, was truncated, is another one, or is not there yet.

Called by the engine for each Glimpse. Pure: it reads nothing and keeps nothing. A file is known again by its first
bytes and by those before the checkpoint (`Position.head`, `.tail`), because inode numbers are reused, change over a
remount, and stay the same when a file is written anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler.logic.runs import older
from reconciler.model import HEAD_BYTES, TAIL_BYTES, FileStat, Position
from reconciler.protocols import Glimpse, Sight

#: `Want.context`: bytes before the offset that a look reads along.
CONTEXT = TAIL_BYTES


class Verdict(StrEnum):
    """What a look meant."""

    GREW = "grew"  # there are new bytes
    QUIET = "quiet"  # nothing new
    WAIT = "wait"  # not there (yet), not readable, an earlier run's file, or only NULs that may become text
    TRUNCATED = "truncated"  # shorter than what was dealt with: from 0
    REPLACED = "replaced"  # other content: from 0


@dataclass(frozen=True, slots=True)
class Followed:
    """What to do: `data` continues at `position.offset`.

    `again`: the file holds more than this look brought; look again at once.
    """

    verdict: Verdict
    position: Position
    data: bytes = b""
    again: bool = False


def follow(position: Position, glimpse: Glimpse, *, started: float | None, ended: bool) -> Followed:
    """Return what the look says about the stream that was dealt with up to `position`.

    `started`: when the job began (None: unknown). `ended`: nobody writes any more, so trailing NULs are text. A
    checkpoint with no device and no inode has seen nothing of this job's file: where its offset is above 0 it is the
    baseline that an earlier run's file set, with that file's fingerprint.
    """
    if glimpse.sight is Sight.UNCHANGED:
        return Followed(Verdict.QUIET, position)
    stat = glimpse.stat
    if glimpse.sight is not Sight.READ or stat is None:
        return Followed(Verdict.WAIT, position)
    if not _seen(position):
        if started is not None and older(stat, started):
            return _baseline(position, glimpse, stat)
        if position.offset and stat.size == position.offset and position.head:
            # Written since the job began, and as long as the earlier run left it: written anew. Appending would have
            # grown it.
            return _restart(Verdict.REPLACED, glimpse, stat, ended=ended)
    return _compare(position, glimpse, stat, ended=ended)


def _seen(position: Position) -> bool:
    return bool(position.device or position.inode)


def _baseline(position: Position, glimpse: Glimpse, stat: FileStat) -> Followed:
    """Stand at the end of an earlier run's file: a truncation starts over, what is appended is the job's own."""
    if position.offset and position.offset <= stat.size and position.tail:
        return Followed(Verdict.WAIT, position)
    before = glimpse.data[: max(0, stat.size - glimpse.start)]
    whole = glimpse.start + len(before) == stat.size
    tail = before[-TAIL_BYTES:] if whole else b""
    head = glimpse.head[: min(HEAD_BYTES, stat.size)]
    baseline = Position(offset=stat.size, pending_cr=tail.endswith(b"\r"), head=head, tail=tail)
    return Followed(Verdict.WAIT, baseline, again=not whole and baseline != position)


def _compare(position: Position, glimpse: Glimpse, stat: FileStat, *, ended: bool) -> Followed:
    """Shorter first: a truncated file's other bytes prove nothing. Then the bytes; an inode proves nothing either.

    An editor, rsync or a remount gives the same content another inode, and every line of it was dealt with already.
    """
    if stat.size < position.offset:
        return _restart(Verdict.TRUNCATED, glimpse, stat, ended=ended)
    before = position.offset - glimpse.start
    if before < 0 or before > len(glimpse.data):
        return Followed(Verdict.QUIET, position, again=True)
    if not _same(position, glimpse, before):
        return _restart(Verdict.REPLACED, glimpse, stat, ended=ended)
    known = _fingerprinted(position, glimpse, stat, before)
    return _given(Verdict.GREW, known, glimpse.data[before:], stat, ended=ended)


def _same(position: Position, glimpse: Glimpse, before: int) -> bool:
    """Compare fingerprints as far as the look brought them."""
    head = glimpse.head[: len(position.head)]
    tail = glimpse.data[max(0, before - len(position.tail)) : before]
    return position.head.startswith(head) and position.tail.endswith(tail)


def _fingerprinted(position: Position, glimpse: Glimpse, stat: FileStat, before: int) -> Position:
    """Note who the file is, and the fingerprint where the checkpoint had none (`start_at: end`, a baseline)."""
    head = position.head or glimpse.head[: min(HEAD_BYTES, position.offset)]
    tail = position.tail or glimpse.data[max(0, before - TAIL_BYTES) : before]
    half = position.pending_cr or (not position.tail and tail.endswith(b"\r"))
    return replace(position, device=stat.device, inode=stat.inode, pending_cr=half, head=head, tail=tail)


def _restart(verdict: Verdict, glimpse: Glimpse, stat: FileStat, *, ended: bool) -> Followed:
    fresh = Position(device=stat.device, inode=stat.inode)
    if glimpse.start:
        return Followed(verdict, fresh, again=True)
    return _given(verdict, fresh, glimpse.data, stat, ended=ended)


def _given(verdict: Verdict, position: Position, data: bytes, stat: FileStat, *, ended: bool) -> Followed:
    """Hold back NULs at the end of the file: on network file systems a later look finds text in their place."""
    reached = position.offset + len(data)
    whole = reached >= stat.size
    if whole and not ended and data.endswith(b"\0"):
        given = data.rstrip(b"\0")
        if verdict is Verdict.GREW and not given:
            return Followed(Verdict.WAIT, position)
        return Followed(verdict, position, given)
    if verdict is Verdict.GREW and not data:
        return Followed(Verdict.QUIET, position, again=not whole)
    return Followed(verdict, position, data, again=not whole)
