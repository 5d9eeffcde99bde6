"""How often a scheduler is asked for its jobs: rarer while it answers slowly, rarer still while it does not answer.

`engine.discovery` keeps one `Pace` for each host. Nothing here waits or knows what time it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

#: An answer within so many seconds is quick, whatever the interval is.
QUICK = 2.0
#: A slow scheduler is kept busy by our question for at most one of so many seconds.
SHARE = 20.0
#: What the newest answer counts against those before: one slow answer among quick ones slows nothing down for long.
WEIGHT = 0.5
#: Waits are longer by up to this part of themselves, so that the reconcilers of many users do not ask in step.
JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Pace:
    """How a scheduler has been answering.

    `took`: seconds that an answer takes, smoothed (None: there was none yet); `failures`: questions in a row that it
    did not answer.
    """

    took: float | None = None
    failures: int = 0

    def answered(self, seconds: float) -> Pace:
        """Return the pace after an answer that took so long."""
        took = seconds if self.took is None else WEIGHT * seconds + (1 - WEIGHT) * self.took
        return Pace(took)

    def silent(self) -> Pace:
        """Return the pace after a question that was not answered."""
        return replace(self, failures=self.failures + 1)

    def interval(self, regular: float, max_stretch: float) -> float:
        """Return the seconds between two questions, `regular` where all is well, at most `max_stretch` times that.

        The first failure is followed by another question in its time, each further one doubles the wait.
        """
        slow = self.took is not None and self.took > QUICK
        wait = max(regular, (self.took or 0.0) * SHARE) if slow else regular
        if self.failures:
            wait = max(wait, regular * 2.0 ** min(self.failures - 1, 30))
        return min(wait, regular * max_stretch)

    def wait(self, regular: float, max_stretch: float, dice: float) -> float:
        """Return the seconds until the next question. `dice`: a random number from 0 to 1."""
        return self.interval(regular, max_stretch) * (1.0 + JITTER * dice)
