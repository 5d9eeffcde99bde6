"""Who has an e-mail, who is never to get it, and who is still to: what one try leaves for the next.

notify_email asks. By RFC 5321, 4.2.1, a recipient that was answered 4xx may be tried again, one answered 5xx may not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.actions._message import one_line
from reconciler.errors import ActionError, PermanentActionError, TemporaryActionError


@dataclass(frozen=True, slots=True)
class Delivery:
    """One e-mail. `to`: who is to get it now; `refused` for good and `put_off` for a time: recipient -> answer."""

    to: tuple[str, ...]
    got: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    put_off: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, every: Sequence[str], progress: Mapping[str, Any] | None) -> Delivery:
        """Return what is left to do of an e-mail to all of these, after what an earlier try left."""
        before = progress or {"got": (), "refused": {}}
        got, refused = tuple(before["got"]), dict(before["refused"])
        return cls(tuple(each for each in every if each not in got and each not in refused), got, refused)

    def after(self, answers: Mapping[str, tuple[int, str]]) -> Delivery:
        """Return what is left once the server has refused some with these answers and taken all others."""
        told = {address: f"{code} {one_line(said)}".strip() for address, (code, said) in answers.items()}
        put_off = {each: told[each] for each, (code, _) in answers.items() if 400 <= code < 500}
        refused = {each: answer for each, answer in told.items() if each not in put_off}
        got = tuple(each for each in self.to if each not in told)
        return Delivery(tuple(put_off), (*self.got, *got), {**self.refused, **refused}, put_off)

    def everybody(self) -> tuple[str, ...]:
        """Return all whom the e-mail names."""
        return (*self.got, *self.refused, *self.to)

    def told(self) -> str:
        """Return who got it, and who did not."""
        who = ", ".join(self.got) or "nobody"
        refused = ", ".join(f"{each} ({answer})" for each, answer in {**self.put_off, **self.refused}.items())
        if not refused:
            return f"sent to {who}"
        return f"sent to {who}{' and to nobody else' if self.got else ''}; the mail server refused {refused}"

    def error(self) -> ActionError | None:
        """Return what is to be raised where somebody did not get it."""
        if self.put_off:
            return TemporaryActionError(self.told(), progress={"got": self.got, "refused": dict(self.refused)})
        return PermanentActionError(self.told()) if self.refused else None
