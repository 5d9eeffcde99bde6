"""What the lookout at the far end has been told: which path has which slot, and what is wanted of each.

Pure; `looks.py` keeps one for each lookout and throws it away with it. It makes the smallest request that says what is
due, and turns the records of an answer into one Glimpse for each Want. Where the engine passes the same Want objects
again, a look at 10,000 idle files costs a comparison of references and nothing else.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, count, repeat
from typing import cast

from reconciler.protocols import UNCHANGED, Glimpse, Sight, Want
from reconciler.transports.over_ssh.frames import Bytes, End, Failed, FrameError, Hello, Missing, Record, Same, request

#: A register that holds so many more files than are due is thrown away and begun anew: streams end, slots stay.
ROOM = 20_000

_MISSING = Glimpse(Sight.MISSING)


@dataclass(slots=True)
class _Slot:
    """One path at the far end; `quiet` is what it means that an answer does not speak of it.

    `barred`: the path cannot be a file's name, so the far end is not asked about it.
    """

    number: int
    want: Want
    quiet: Glimpse | None
    barred: bool = False
    place: int = -1


class Register:
    """See the module. A request must be answered, or the register be thrown away, before the next one."""

    def __init__(self) -> None:
        self._slots: dict[object, _Slot] = {}
        self._numbered: list[_Slot] = []
        self._wants: tuple[Want, ...] = ()
        self._due: list[_Slot] = []
        self._quiet: list[Glimpse | None] = []
        self._number = 0
        #: The most bytes that any file may come with.
        self.longest = 0

    @property
    def full(self) -> bool:
        """True where a new lookout and a new register would be smaller."""
        return len(self._numbered) > ROOM + 2 * len(self._wants)

    def request(self, wants: Sequence[Want], budget: int) -> bytes:
        """Return the frame that asks for these; `budget`: bytes that all files together may get."""
        self._number += 1
        lines: list[bytes] = []
        same_files = self._refresh(wants, lines) or self._place(wants, lines)
        due = b"*" if same_files else _ranges(slot.number for slot in self._due if not slot.barred)
        lines.append(b"g %d %d %s" % (self._number, budget, due))
        return request(lines)

    def answer(self, records: Iterable[Record]) -> list[Glimpse]:
        """Return the Glimpses of the last request. Raises FrameError where the answer does not fit it."""
        found = list(self._quiet)
        for record in records:
            if isinstance(record, End | Hello):
                continue
            slot = self._slot(record.slot)
            found[slot.place] = self._seen(slot, record)
        if any(map(operator.is_, found, repeat(None))):
            raise FrameError("the answer leaves files out")
        return cast(list[Glimpse], found)

    def ends(self, record: Record) -> bool:
        """True for the record that ends the answer to the last request."""
        return isinstance(record, End) and record.number == self._number

    def _refresh(self, wants: Sequence[Want], lines: list[bytes]) -> bool:
        """Where the same files are due as last time: tell what is wanted of them now, if that changed."""
        if len(wants) != len(self._wants):
            return False
        changed = list(compress(count(), map(operator.is_not, wants, self._wants)))
        if any(wants[place].path != self._wants[place].path for place in changed):
            return False
        for place in changed:
            self._tell(self._due[place], wants[place], lines)
            self._quiet[place] = self._due[place].quiet
        self._wants = tuple(wants) if changed else self._wants
        return True

    def _place(self, wants: Sequence[Want], lines: list[bytes]) -> bool:
        """Find or make a slot for each Want; the same path twice has two. Return False: the due slots must be named."""
        used: set[object] = set()
        self._due = []
        for place, want in enumerate(wants):
            key: object = want.path if want.path not in used else (want.path, place)
            used.add(key)
            slot = self._slots.get(key)
            if slot is None:
                slot = self._slots[key] = self._new(want, lines)
            else:
                self._tell(slot, want, lines)
            slot.place = place
            self._due.append(slot)
        self._quiet = [slot.quiet for slot in self._due]
        self._wants = tuple(wants)
        return False

    def _new(self, want: Want, lines: list[bytes]) -> _Slot:
        slot = _Slot(len(self._numbered), want, None)
        self._numbered.append(slot)
        try:
            lines.append(b"p %d %s" % (slot.number, encoded(want.path).hex().encode()))
        except ValueError as error:
            slot.barred, slot.quiet = True, Glimpse(Sight.FAILED, reason=str(error))
        else:
            self._tell(slot, want, lines, new=True)
        return slot

    def _tell(self, slot: _Slot, want: Want, lines: list[bytes], *, new: bool = False) -> None:
        if slot.barred or (not new and (want is slot.want or want == slot.want)):
            return
        self.longest = max(self.longest, want.context + want.limit)
        known = want.known
        words = [slot.number, want.offset, want.context, want.limit]
        if known is not None:
            words += [known.device, known.inode, known.size, known.mtime_ns]
        lines.append(b"w " + b" ".join(b"%d" % word for word in words))
        slot.want, slot.quiet = want, None if known is None else UNCHANGED

    def _slot(self, number: int) -> _Slot:
        if not 0 <= number < len(self._numbered) or not 0 <= self._numbered[number].place < len(self._due):
            raise FrameError(f"an answer about file {number}, which nobody asked about")
        slot = self._numbered[number]
        if self._due[slot.place] is not slot:
            raise FrameError(f"an answer about file {number}, which is not due")
        return slot

    def _seen(self, slot: _Slot, record: Bytes | Same | Missing | Failed) -> Glimpse:
        """Return the Glimpse; what the lookout will not repeat is what its silence means from now on."""
        if isinstance(record, Bytes):
            slot.quiet = None if slot.want.known is None else UNCHANGED
            self._quiet[slot.place] = slot.quiet
            return Glimpse(Sight.READ, record.stat, record.start, record.data, record.head)
        if isinstance(record, Same):
            glimpse = UNCHANGED
        else:
            glimpse = _MISSING if isinstance(record, Missing) else Glimpse(Sight.FAILED, reason=record.reason)
        slot.quiet = self._quiet[slot.place] = glimpse
        return glimpse


def encoded(path: str) -> bytes:
    """Return a path's bytes (surrogateescape keeps what was not UTF-8). ValueError where no file has such a name."""
    raw = path.encode("utf-8", "surrogateescape")
    if b"\0" in raw:
        raise ValueError("embedded null byte")
    return raw


def _ranges(numbers: Iterable[int]) -> bytes:
    """Return `0-7,9` for sorted or unsorted numbers, `-` for none."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return b",".join(b"%d" % first if first == last else b"%d-%d" % (first, last) for first, last in parts) or b"-"
