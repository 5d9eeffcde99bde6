"""A real SLURM with accounting: slurmdbd on a MariaDB of the session's own, and a slurmctld that soon forgets.

Fixture: `slurm_with_accounting`, with SLURM_CONF set. Tests that use it carry `@pytest.mark.slurm`.
"""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from parts.ports import free_port
from parts.presence import program
from parts.slurm import SlurmCluster, running
from parts.waiting import soon

DBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={dbd_port}
SlurmUser={user}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
PidFile={home}/slurmdbd.pid
LogFile={home}/slurmdbd.log
"""
GRANT = "CREATE DATABASE slurm_acct_db; GRANT ALL ON slurm_acct_db.* TO slurm@'%' IDENTIFIED BY 'slurm';"


class AccountingCluster(SlurmCluster):
    """SLURM whose jobs are still known after slurmctld forgot them."""

    accounting = "accounting_storage/slurmdbd"

    def __init__(self, home: Path, *, min_job_age: int = 300) -> None:
        super().__init__(home, min_job_age=min_job_age)
        self._dbd_port, self._sql_port = free_port(), free_port()
        self.more = (
            f"AccountingStorageHost=127.0.0.1\nAccountingStoragePort={self._dbd_port}\n"
            f"AccountingStoragePass={home}/munge.socket\nAccountingStoreFlags=job_comment"
        )

    def start_database(self) -> None:
        """Start slurmdbd and return when it answers."""
        self._serve("slurmdbd", "-D")
        soon(lambda: self._run("sacctmgr", "-n", "list", "cluster").returncode == 0)

    def stop_database(self) -> None:
        """End slurmdbd."""
        self._end("slurmdbd")

    def _before(self) -> None:
        data, socket = self.home / "sql", self.home / "sql.socket"
        user = getpass.getuser()
        install = [
            program("mariadb-install-db", "mariadb-server"),
            "--no-defaults",
            f"--user={user}",
            f"--datadir={data}",
        ]
        plain = "--innodb-use-native-aio=0"  # which the kernel has but so much of, for all that runs
        made = subprocess.run(
            [*install, "--auth-root-authentication-method=normal", plain], capture_output=True, text=True
        )
        assert made.returncode == 0, made.stdout + made.stderr
        place = [f"--datadir={data}", f"--socket={socket}", f"--port={self._sql_port}", "--bind-address=127.0.0.1"]
        small = [plain, "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve"]
        self._serve("mariadbd", "--no-defaults", f"--user={user}", *place, *small)
        client = [program("mariadb", "mariadb-client"), "--no-defaults", f"--socket={socket}", "--user=root"]
        soon(lambda: subprocess.run([*client, "-e", "SELECT 1"], capture_output=True).returncode == 0)
        subprocess.run([*client, "-e", GRANT], check=True, capture_output=True)
        conf = self.home / "slurmdbd.conf"
        conf.write_text(
            DBD_CONF.format(home=self.home, dbd_port=self._dbd_port, sql_port=self._sql_port, user=getpass.getuser())
        )
        conf.chmod(0o600)
        self.conf.write_text(
            f"ClusterName=test\nSlurmctldHost={self.host}\nAuthInfo=socket={self.home}/munge.socket\n"
            f"AccountingStorageType={self.accounting}\n{self.more}\n"
        )
        self.start_database()
        for words in ("cluster test", "account research", f"user {getpass.getuser()} account=research"):
            self.command("sacctmgr", "-i", "add", *words.split())


@pytest.fixture(scope="session")
def accounting_cluster() -> Iterator[AccountingCluster]:
    """The servers; started when a test first wants them."""
    for name, package in {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server"}.items():
        program(name, package)
    yield from running(AccountingCluster, min_job_age=2)


@pytest.fixture
def slurm_with_accounting(
    accounting_cluster: AccountingCluster, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AccountingCluster]:
    """The cluster, empty, and spoken to by the commands of this test."""
    monkeypatch.setenv("SLURM_CONF", str(accounting_cluster.conf))
    yield accounting_cluster
    accounting_cluster.clear()
