"""A real SLURM of the session's own: munged, slurmctld and slurmd on loopback ports, in one directory.

Fixtures: `slurm_cluster` (the servers, for the session), `slurm` (the same, with SLURM_CONF set and no jobs left over
from another test). Tests that use them carry `@pytest.mark.slurm`.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pytest

from parts.ports import free_port
from parts.presence import missing, program
from parts.waiting import soon

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={d_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType={accounting}
{more}
JobRequeue=1
SlurmdParameters=config_overrides
KillWait=2
CompleteWait=0
MinJobAge={min_job_age}
MaxArraySize=2000
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1,sched_min_interval=0,requeue_delay=1
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=64 RealMemory=8000 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES
"""


class SlurmCluster:
    """One node, one controller. `pause` and `stop_controller` are the outages."""

    accounting = "accounting_storage/none"
    more = ""

    def __init__(self, home: Path, *, min_job_age: int = 300) -> None:
        self.home = home
        self.conf = home / "slurm.conf"
        self.host = socket.gethostname().split(".")[0]
        self.min_job_age = min_job_age
        self._servers: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def env(self) -> Mapping[str, str]:
        """The environment in which SLURM's commands speak to this cluster, whatever a test has set for its own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SQUEUE_", "SLURM_"))}
        return {**kept, "SLURM_CONF": str(self.conf)}

    def start(self) -> None:
        """Return when the node is idle."""
        for name in ("state", "spool"):
            (self.home / name).mkdir()
        (self.home / "munge.key").write_bytes(os.urandom(128))
        (self.home / "munge.key").chmod(0o400)
        self._munge()
        self._before()
        facts = {"host": self.host, "home": self.home, "user": getpass.getuser(), "min_job_age": self.min_job_age}
        facts |= {"accounting": self.accounting, "more": self.more}
        self.conf.write_text(CONF.format(**facts, ctld_port=free_port(), d_port=free_port()))
        self.start_controller()
        self._serve("slurmd", "-D", "-f", str(self.conf), "-N", self.host)
        soon(lambda: self.command("sinfo", "-h", "-o", "%T").strip() == "idle")

    def _before(self) -> None:
        """Start what slurmctld wants to be there."""

    def stop(self) -> None:
        """End all servers, the last started first, and every job with them."""
        for name in reversed(list(self._servers)):
            self._end(name)

    def start_controller(self) -> None:
        """Start slurmctld and return when it answers."""
        self._serve("slurmctld", "-D", "-f", str(self.conf))
        soon(lambda: self._run("scontrol", "ping").returncode == 0)

    def stop_controller(self) -> None:
        """End slurmctld; its jobs run on."""
        self._end("slurmctld")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Cut slurmctld off: it holds still and answers nobody."""
        server = self._servers["slurmctld"]
        server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            server.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def without_controller(self) -> Iterator[None]:
        """Stop slurmctld, and start it again afterwards."""
        self.stop_controller()
        try:
            yield
        finally:
            self.start_controller()

    def command(self, *argv: str, stdin: str | None = None) -> str:
        """Run one of SLURM's commands and return what it prints; AssertionError where it fails."""
        done = self._run(*argv, stdin=stdin)
        assert done.returncode == 0, f"{argv} failed: {done.stderr}"
        return done.stdout

    def submit(self, script: str, *options: str, cwd: Path | None = None) -> str:
        """Submit a batch script (its `#!/bin/sh` is added where there is none) and return the job id."""
        text = script if script.startswith("#!") else f"#!/bin/sh\n{script}\n"
        done = self._run("sbatch", "--parsable", *options, stdin=text, cwd=cwd or self.home)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().split(";")[0]

    def state(self, job_id: str) -> str:
        """Return SLURM's own word for the state of a job (`RUNNING`), "" where it does not know the job."""
        done = self._run("scontrol", "-o", "show", "job", job_id)
        found = re.search(r" JobState=(\S+)", done.stdout)
        return found[1] if found else ""

    def wait_for(self, job_id: str, *states: str, timeout: float = 30.0) -> str:
        """Return the state as soon as it is one of `states`."""
        return soon(lambda: found if (found := self.state(job_id)) in states else "", timeout=timeout)

    def rpcs(self) -> Mapping[str, int]:
        """Return how many calls slurmctld has answered, by type, as `sdiag` counts them."""
        text = self.command("sdiag")
        section = text.split("statistics by message type")[1].split("\n\n")[0]
        return {kind: int(count) for kind, count in re.findall(r"(\w+)\s+\(\s*\d+\) count:(\d+)", section)}

    def clear(self) -> None:
        """Cancel every job and return when none is left."""

        def empty() -> bool:
            self._run("scancel", "--user", getpass.getuser())  # again: a task may start meanwhile
            return not self.command("squeue", "-h", "-o", "%i")

        soon(lambda: empty() and empty())

    def _munge(self) -> None:
        files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munge.pid"}
        files |= {"log-file": "munge.log", "seed-file": "munge.seed"}
        self._serve(
            "munged", "--foreground", "--force", *(f"--{key}={self.home / name}" for key, name in files.items())
        )
        soon((self.home / "munge.socket").exists)

    def _serve(self, name: str, *arguments: str) -> None:
        self.conf.touch()
        with (self.home / f"{name}.out").open("ab") as out:
            self._servers[name] = subprocess.Popen(
                [program(name, _PACKAGES.get(name, "")), *arguments],
                env={**self.env, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def _end(self, name: str) -> None:
        server = self._servers.pop(name, None)
        if server is None:
            return
        server.send_signal(signal.SIGCONT)
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    def _run(self, *argv: str, stdin: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            env=self.env,
            cwd=cwd,
            timeout=60,
        )


C = TypeVar("C", bound=SlurmCluster)
_PACKAGES = {"munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd"}


def running(kind: type[C], **settings: int) -> Iterator[C]:
    """Yield a cluster that runs, in a directory of its own; for fixtures."""
    for name, package in {**_PACKAGES, "sbatch": "slurm-client"}.items():
        program(name, package)
    if os.geteuid() != 0:
        missing("root, which slurmd needs", "slurm-wlm")
    # Short, since the path of a socket has room for a hundred bytes; 755, since munged wants it so.
    home = Path(tempfile.mkdtemp(prefix="slurm-"))
    home.chmod(0o755)
    cluster = kind(home, **settings)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[SlurmCluster]:
    """The servers; started when a test first wants them."""
    yield from running(SlurmCluster)


@pytest.fixture
def slurm(slurm_cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """The cluster, empty, and spoken to by the commands of this test."""
    monkeypatch.setenv("SLURM_CONF", str(slurm_cluster.conf))
    yield slurm_cluster
    slurm_cluster.clear()
