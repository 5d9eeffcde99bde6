"""One look at many files of the host in one round trip, whatever is there to look with. `ssh.py` calls it.

The best of python3, Perl and SFTP is started and kept; one that ends is started anew and told everything again, since
offsets live on this side. One that hangs is waited for: another would hang beside it. Looks run one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, cast

from reconciler.errors import HostUnreachableError
from reconciler.protocols import Glimpse, Want
from reconciler.transports.over_ssh.link import Link
from reconciler.transports.over_ssh.program import LookoutEndedError, LookoutSilentError, ProgramLookout, Traffic
from reconciler.transports.over_ssh.sftp import SftpLookout
from reconciler.transports.over_ssh.spec import LookoutKind


class Lookout(Protocol):
    """What looks at files at the far end."""

    @property
    def usable(self) -> bool:
        """False where a new one is to be started before the next look."""
        ...

    async def look(self, wants: Sequence[Want]) -> list[Glimpse]:
        """Return one Glimpse for each Want. After HostUnreachableError or LookoutEndedError it is of no use."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Looks:
    """See the module."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = asyncio.Lock()
        self._kinds: list[LookoutKind] = list(link.settings.lookouts)
        self._lookout: Lookout | None = None
        self._silent: ProgramLookout | None = None
        self.traffic = Traffic()

    async def look(self, wants: Sequence[Want]) -> list[Glimpse]:
        """See `protocols.Transport.look`."""
        if not wants:
            return []
        async with self._lock:
            try:
                return await self._once(wants)
            except LookoutEndedError:
                pass  # killed, or out of memory: looking again is harmless, nothing was taken from an answer cut short
            try:
                return await self._once(wants)
            except LookoutEndedError as error:
                raise HostUnreachableError(
                    f"{self._link.host}: what looks at files there ends at once: {error}",
                    remedy="see whether something on the host kills it, or set the transport's `lookouts`",
                ) from error

    def close(self) -> None:
        """End what is at the far end."""
        self._forget()
        if self._silent is not None:
            self._silent.close()

    async def _once(self, wants: Sequence[Want]) -> list[Glimpse]:
        lookout = await self._ready()
        self._lookout = None  # an answer that did not come in full leaves it in a state that nobody knows
        done = False
        try:
            seen = await lookout.look(wants)
            done = True
        except LookoutSilentError as error:
            self._silent, done = cast(ProgramLookout, lookout), True
            raise self._silence() from error
        finally:
            if not done:
                lookout.close()
        self._lookout = lookout
        self._link.worked()
        return seen

    async def _ready(self) -> Lookout:
        if self._lookout is not None and self._lookout.usable:
            return self._lookout
        self._forget()
        if self._silent is not None:
            if self._silent.silent:
                raise self._silence()
            self._silent.close()  # it speaks again, or has ended: what it was told is not known to have arrived
            self._silent = None
        why = ""
        for kind in tuple(self._kinds):
            try:
                self._lookout = await self._start(kind)
            except LookoutEndedError as error:
                why = f"{why}; {kind}: {error}" if why else f"{kind}: {error}"
                continue
            self._kinds.sort(key=lambda each: each != kind)  # this one first, next time
            return self._lookout
        raise HostUnreachableError(
            f"{self._link.host}: nothing there can look at files ({why})",
            remedy="python3 (3.6 or newer), Perl or sftp-server must be there",
        )

    def _silence(self) -> HostUnreachableError:
        return HostUnreachableError(
            f"{self._link.host}: no answer in time: a file system there hangs, or the host does",
            remedy="see whether `ls` answers there in the directories of the outputs; a slow host: `answer_timeout`",
        )

    async def _start(self, kind: LookoutKind) -> Lookout:
        if kind == "sftp":
            return await SftpLookout.start(self._link)
        return await ProgramLookout.start(self._link, kind, self.traffic)

    def _forget(self) -> None:
        if self._lookout is not None:
            self._lookout.close()
            self._lookout = None
