"""The fixture `far_slurm`: a real SLURM that can be reached through a real sshd alone.

SLURM_CONF is known to the far side only: what speaks to slurmctld without going over SSH finds none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parts.slurm import SlurmCluster
from parts.sshd import HOST, PATH, Sshd
from reconciler.app import Engine
from reconciler.model import HostName, JobId, JobKey, Watcher
from reconciler.settings import Settings

#: A directory that comes first on the far side's PATH: what a test puts there takes the place of SLURM's own programs.
BIN = "bin"


class FarSlurm:
    """A cluster and the server in front of it."""

    def __init__(self, slurm: SlurmCluster, sshd: Sshd) -> None:
        self.slurm, self.sshd = slurm, sshd
        self.bin = sshd.home / BIN
        self.bin.mkdir()
        sshd.restart(SLURM_CONF=str(slurm.conf), PATH=f"{self.bin}:{PATH}")

    def program(self, name: str, text: str) -> None:
        """Put a program in front of SLURM's own."""
        draft = self.bin / f".{name}"
        draft.write_text(text)
        draft.chmod(0o755)
        draft.rename(self.bin / name)  # in one step: the host may be asked at any moment

    def own(self, name: str) -> None:
        """Let SLURM's own program be found again."""
        (self.bin / name).unlink()

    def settings(
        self, home: Path, *hosts: str, timeout: float = 20.0, engine: dict[str, Any] | None = None, **transport: Any
    ) -> Settings:
        """Settings that look often at the cluster, under these names; `timeout`: seconds that a call may take."""
        section = self.sshd.settings(**{"retry_at_most": 0.2, **transport}).model_dump(exclude_none=True)
        host = {"transport": section, "scheduler": {"type": "slurm", "timeout": timeout}}
        often = {"discovery_interval": 1, "max_stretch": 2, "source_interval": 1, "end_grace": 0.5}
        return Settings.model_validate(
            {
                "hosts": dict.fromkeys(hosts or (HOST,), host),
                "state": {"path": home / "state.db"},
                "engine": {**often, **(engine or {})},
            }
        )


async def watchers_of(engine: Engine) -> tuple[Watcher, ...]:
    """Return every watcher that the state knows."""
    return await engine.parts.state.run(lambda state: state.watchers())


async def values_of(engine: Engine, job: str, name: str = "loss", host: HostName = HOST) -> list[float]:
    """Return the values of a metric of a job, in their order."""
    points = await engine.parts.state.run(lambda state: state.metrics(JobKey(host, JobId(job)), name))
    return [point.value for point in points]


@pytest.fixture
def far_slurm(slurm: SlurmCluster, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> FarSlurm:
    """The cluster, empty, behind a server of the test's own."""
    monkeypatch.delenv("SLURM_CONF")
    return FarSlurm(slurm, sshd)
