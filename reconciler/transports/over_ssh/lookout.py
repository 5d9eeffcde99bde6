"""The lookout: what looks at files on the far host. `looks.py` sends this text over SSH to the python3 that is there.

So it knows python3 from 3.6 on and its standard library alone, imports nothing of ours, and writes nothing. It keeps
nothing that matters: what it is asked for (`requests.py`) comes with an offset, and its end loses nothing.
Requests and answers are described in README.md of this folder; `lookout.pl` is the same in Perl.
"""

import errno
import os
import signal
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is start-up time at the far end
    from typing import BinaryIO

HEAD_BYTES = 64
#: Seconds after which a lookout that nobody asks ends by itself: its connection may have died without a sign.
IDLE = 1800
#: Seconds between two signs of life while file systems are slow.
TICK = 1.0
#: Every file gets so many bytes of a look, however many files share it.
LEAST_SHARE = 256
ABSENT = (errno.ENOENT, errno.ENOTDIR)
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | getattr(os, "O_CLOEXEC", 0)


class File:
    """One slot: a path, what is wanted of it, and what was said of it last (None: nothing but its bytes)."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.offset = self.context = self.limit = 0
        self.known = None  # type: tuple[int, ...] | None
        self.said = None  # type: bytes | None

    @property
    def span(self) -> int:
        """Bytes of context in front of the offset."""
        return min(self.offset, self.context)

    def start(self, size: int) -> int:
        """Return the first byte that is read, the file being `size` bytes long."""
        start = self.offset - self.span
        return start if start <= size else 0

    def need(self, size: int) -> int:
        """Return how many bytes are read, where nobody else wants any."""
        return min(self.span + self.limit, size - self.start(size))


class Lookout:
    """Answers requests from one binary file on another until there are no more."""

    def __init__(self, requests: "BinaryIO", answers: "BinaryIO") -> None:
        self.requests, self.answers = requests, answers
        self.files = {}  # type: dict[int, File]
        self.due = []  # type: list[int]
        self.ticked = 0.0

    def serve(self) -> None:
        """Answer until the requests end."""
        self.answers.write(b"h python3\n")
        self.answers.flush()
        while True:
            signal.alarm(IDLE)
            size = self.requests.readline()
            body = self.requests.read(int(size)) if size else b""
            if not size or len(body) < int(size):
                return
            for line in body.split(b"\n"):
                if line:
                    self.obey(line.split(b" "))

    def obey(self, words: "list[bytes]") -> None:
        """Carry out one line of a request."""
        if words[0] == b"p":
            self.files[int(words[1])] = File(bytes.fromhex(words[2].decode()))
        elif words[0] == b"w":
            self.want(*map(int, words[1:]))
        elif words[0] == b"g":
            self.look(words[1], int(words[2]), words[3])

    def want(self, slot: int, offset: int, context: int, limit: int, *known: int) -> None:
        """Take down what is wanted of one file; `known` is device, inode, size and mtime_ns, or nothing."""
        file = self.files[slot]
        file.offset, file.context, file.limit = offset, context, limit
        file.known, file.said = known or None, None

    def look(self, number: bytes, budget: int, due: bytes) -> None:
        """Answer one look: `due` names the slots (`0-7,9`; `*`: the same as last time)."""
        if due != b"*":
            self.due = [slot for part in due.split(b",") for slot in slots(part)]
        self.ticked = time.monotonic()
        changed = self.changed()
        shares = fair(budget, [(file.need(size), file.span + LEAST_SHARE) for _, file, size in changed])
        for (slot, file, _), share in zip(changed, shares):  # noqa: B905 - strict came with 3.10
            self.tell(slot, file, share)
            self.tick()
        self.answers.write(b"e " + number + b"\n")
        self.answers.flush()

    def changed(self) -> "list[tuple[int, File, int]]":
        """Return (slot, file, size) of the files that are to be read; say what became of the others, if that is new."""
        found = []  # type: list[tuple[int, File, int]]
        files, look, regular = self.files, os.stat, stat.S_ISREG
        for count, slot in enumerate(self.due):
            file = files[slot]
            try:
                seen = look(file.path)
            except (OSError, ValueError) as error:
                self.say(slot, file, reason(error))
                continue
            if (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns) == file.known and regular(seen.st_mode):
                if file.said is not None:
                    file.said = None
                    self.answers.write(b"u %d\n" % slot)
            elif regular(seen.st_mode):
                found.append((slot, file, seen.st_size))
            else:
                self.say(slot, file, b"not a regular file")
            if not count % 64:
                self.tick()
        return found

    def tell(self, slot: int, file: File, share: "int | None") -> None:
        """Answer with what is read, or with the reason why nothing is."""
        try:
            numbers, head, data = read(file, share)
        except OSError as error:
            self.say(slot, file, reason(error))
            return
        file.said = None
        self.answers.write(b"r %d %d %d %d %d %d %d %d\n" % (slot, *numbers, len(head), len(data)))
        self.answers.write(head)
        self.answers.write(data)

    def say(self, slot: int, file: File, why: bytes) -> None:
        """Say that a file is missing (no reason) or cannot be told, unless that was said before."""
        if file.said != why:
            file.said = why
            self.answers.write(b"f %d %d\n%s" % (slot, len(why), why) if why else b"m %d\n" % slot)

    def tick(self) -> None:
        """Give a sign of life where the look takes long."""
        now = time.monotonic()
        if now - self.ticked > TICK:
            self.ticked = now
            self.answers.write(b"t\n")
            self.answers.flush()


def slots(part: bytes) -> range:
    """Return the slots of `7` or `7-9`."""
    first, _, last = part.partition(b"-")
    return range(int(first), int(last or first) + 1) if first else range(0)


def reason(error: Exception) -> bytes:
    """Return why a file cannot be told, b"" where it is missing."""
    if isinstance(error, OSError) and error.errno in ABSENT:
        return b""
    text = getattr(error, "strerror", None) or str(error) or "error"
    return str(text).encode("utf-8", "replace")[:200]


def fair(budget: int, needs: "list[tuple[int, int]]") -> "list[int | None]":
    """Share the budget out over (need, least): small needs are met, the rest is divided evenly among the large ones.

    Where all can be met there are no shares to keep to (None each): what a file grew meanwhile is read along.
    """
    if sum(need for need, _ in needs) <= budget:
        return [None] * len(needs)
    shares = [None] * len(needs)  # type: list[int | None]
    waiting = len(needs)
    for place in sorted(range(len(needs)), key=needs.__getitem__):
        need, least = needs[place]
        share = shares[place] = min(need, max(least, budget // waiting))
        budget = max(0, budget - share)
        waiting -= 1
    return shares


def read(file: File, share: "int | None") -> "tuple[tuple[int, int, int, int, int], bytes, bytes]":
    """Return ((device, inode, size, mtime_ns, start), head, data), all from one open file."""
    descriptor = os.open(file.path, FLAGS)
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        # The share was counted before the file was opened: it may be longer, shorter, or another one by now.
        length = file.need(seen.st_size) if share is None else min(share, file.need(seen.st_size))
        head = piece(descriptor, 0, min(HEAD_BYTES, seen.st_size))
        data = piece(descriptor, file.start(seen.st_size), length)
    finally:
        os.close(descriptor)
    return (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, file.start(seen.st_size)), head, data


def piece(descriptor: int, offset: int, length: int) -> bytes:
    """Read `length` bytes, fewer only where the file was cut meanwhile."""
    parts = []
    while length > 0:
        data = os.pread(descriptor, min(length, 1 << 20), offset)
        if not data:
            break
        parts.append(data)
        offset, length = offset + len(data), length - len(data)
    return b"".join(parts)


if __name__ == "__main__":
    try:
        Lookout(sys.stdin.buffer, sys.stdout.buffer).serve()
    except (OSError, KeyboardInterrupt):  # nobody listens any more
        os._exit(1)
