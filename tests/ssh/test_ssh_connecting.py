"""The way to a host: what is refused, what the error says to do, and what the OpenSSH configuration decides."""

from __future__ import annotations

import getpass
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncssh
import pytest
from parts.presence import program
from parts.sshd import HOST, Sshd
from parts.waiting import soon
from pydantic import ValidationError

from reconciler.errors import HostUnreachableError
from reconciler.transports.over_ssh.connecting import Place
from reconciler.transports.over_ssh.spec import SshTransportSpec
from reconciler.transports.ssh import SshTransport

pytestmark = pytest.mark.ssh


async def said(transport: SshTransport) -> str:
    """Return what the host says when asked, through this transport."""
    return (await transport.run(["echo", "here"])).stdout.decode().strip()


async def refused(sshd: Sshd, **settings: object) -> HostUnreachableError:
    """Return the error that connecting with these settings ends in."""
    async with sshd.transport(**settings) as transport:
        with pytest.raises(HostUnreachableError) as caught:
            await transport.run(["true"])
    assert caught.value.message.startswith(f"{HOST}: ")
    return caught.value


def done(argv: Sequence[str]) -> None:
    """Run a program that ends at once."""
    subprocess.run(argv, check=True, capture_output=True)


async def test_everything_goes_over_one_connection(far: SshTransport, sshd: Sshd) -> None:
    assert [await said(far) for _ in range(3)] == ["here"] * 3
    await far.look([])
    assert (far.connections, len(sshd.connections)) == (1, 1)


async def test_nothing_is_connected_before_the_first_use(far: SshTransport, sshd: Sshd) -> None:
    far.watch(["/a"], lambda path: None)
    assert (far.connections, sshd.connections) == (0, [])


async def test_nobody_listens(sshd: Sshd) -> None:
    sshd.stop()
    error = await refused(sshd)
    assert "refused" in error.message
    assert f"ssh -p {sshd.port} 127.0.0.1" in error.remedy


async def test_a_host_that_nobody_knows_is_not_trusted(sshd: Sshd) -> None:
    sshd.known_hosts.write_text("")
    error = await refused(sshd)
    assert "not trusted" in error.message
    assert f"ssh-keyscan -p {sshd.port} 127.0.0.1 >> {sshd.known_hosts}" in error.remedy


async def test_a_host_with_another_key_is_not_trusted(sshd: Sshd) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    sshd.known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {other}")
    error = await refused(sshd)
    assert f"ssh-keygen -f {sshd.known_hosts} -R '[127.0.0.1]:{sshd.port}'" in error.remedy


@pytest.mark.parametrize(
    "line", ["UserKnownHostsFile none", "UserKnownHostsFile /dev/null", "StrictHostKeyChecking no"]
)
async def test_no_configuration_switches_the_check_of_host_keys_off(sshd: Sshd, line: str) -> None:
    (sshd.home / "ssh_config").write_text(f"Host *\n  {line}\n")
    assert "not trusted" in (await refused(sshd, known_hosts=None)).message


async def test_the_remedy_that_is_given_works(sshd: Sshd) -> None:
    sshd.known_hosts.write_text("")
    remedy = (await refused(sshd)).remedy
    command = remedy.partition("`ssh-keyscan")[2].partition("`")[0]
    done(["sh", "-c", f"{program('ssh-keyscan', 'openssh-client')}{command}"])
    async with sshd.transport() as transport:
        assert await said(transport) == "here"


async def test_a_key_that_is_not_authorized(sshd: Sshd) -> None:
    (sshd.home / "authorized_keys").write_text("")
    error = await refused(sshd)
    assert "Permission denied" in error.message
    assert "ssh-add" in error.remedy


async def test_a_key_file_that_is_not_there(sshd: Sshd) -> None:
    assert "No such file" in (await refused(sshd, identity_files=(sshd.home / "none",))).message


async def test_a_key_file_that_is_none(sshd: Sshd) -> None:
    (sshd.home / "text").write_text(
        "-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    assert "ssh-add" in (await refused(sshd, identity_files=(sshd.home / "text",))).remedy


async def test_a_name_that_nobody_has(sshd: Sshd) -> None:
    assert "check the name" in (await refused(sshd, address="no-such-host.invalid")).remedy


async def test_a_configuration_that_cannot_be_read_says_where(sshd: Sshd) -> None:
    (sshd.home / "ssh_config").write_text("Host *\n  Port many\n")
    error = await refused(sshd, port=None)
    assert "line 2" in error.message
    assert "config_file" in error.remedy


async def test_a_host_that_never_answers_costs_the_connect_timeout(sshd: Sshd) -> None:
    with sshd.paused():
        error = await refused(sshd, connect_timeout=0.2)
    assert "no answer" in error.message
    assert "connect_timeout" in error.remedy


async def test_an_account_without_a_shell(sshd: Sshd) -> None:
    sshd.restart("ForceCommand echo This account is not available; exit 1")
    error = await refused(sshd)
    assert "This account is not available" in error.message
    assert "login shell" in error.remedy


async def test_the_configuration_says_where_and_who_as_for_ssh_itself(sshd: Sshd) -> None:
    (sshd.home / "ssh_config").write_text(
        f"Host cluster\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {sshd.client_key}\n  UserKnownHostsFile {sshd.known_hosts}\n"
    )
    left = {"address": "cluster", "port": None, "user": None, "identity_files": (), "known_hosts": None}
    async with sshd.transport(**left) as transport:
        assert await said(transport) == "here"


async def test_the_users_own_files_are_the_default(sshd: Sshd, home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh" / "config").write_text(
        f"Host far\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {sshd.client_key}\n"
    )
    (home / ".ssh" / "known_hosts").write_text(sshd.known_hosts.read_text())
    transport = SshTransport(HOST, SshTransportSpec())
    try:
        assert await said(transport) == "here"
    finally:
        await transport.close()


async def test_a_configuration_that_names_files_which_are_not_there_is_no_obstacle(sshd: Sshd) -> None:
    (sshd.home / "ssh_config").write_text(
        f"Host *\n  UserKnownHostsFile {sshd.home}/none {sshd.known_hosts}\n  IdentityFile {sshd.home}/none\n"
    )
    async with sshd.transport(known_hosts=None) as transport:
        assert await said(transport) == "here"


async def test_through_a_jump_host_of_the_settings(sshd: Sshd) -> None:
    jump = f"{getpass.getuser()}@127.0.0.1:{sshd.port}"
    async with sshd.transport(jump=(jump, jump)) as transport:
        assert await said(transport) == "here"
        assert len(sshd.connections) == 3


async def test_through_a_jump_host_of_the_configuration(sshd: Sshd) -> None:
    (sshd.home / "ssh_config").write_text(
        f"Host jump\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {getpass.getuser()}\n"
        f"Host inner\n  HostName 127.0.0.1\n  ProxyJump jump\n"
    )
    async with sshd.transport(address="inner") as transport:
        assert await said(transport) == "here"
        assert len(sshd.connections) == 2
        await transport.close()
        soon(lambda: not sshd.connections)
    async with sshd.transport(address="inner", jump=()) as transport:
        assert await said(transport) == "here"
        assert len(sshd.connections) == 1


async def test_a_jump_host_that_is_down_is_named(sshd: Sshd) -> None:
    error = await refused(sshd, jump=("127.0.0.1:1",))
    assert "ssh -p 1 127.0.0.1" in error.remedy


async def test_jump_hosts_in_a_ring_are_refused(sshd: Sshd) -> None:
    (sshd.home / "ssh_config").write_text("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    assert "ring" in (await refused(sshd, address="a")).message


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An ssh-agent of the test's own."""
    socket = tmp_path / "agent"
    with subprocess.Popen([program("ssh-agent", "openssh-client"), "-D", "-a", str(socket)], stdout=-3) as process:
        soon(socket.exists)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        yield socket
        process.terminate()


async def test_keys_of_the_agent_are_used_and_an_encrypted_file_asks_nobody(sshd: Sshd, agent: Path) -> None:
    locked = sshd.home / "locked"
    shutil.copy(sshd.client_key, locked)
    done([program("ssh-keygen", "openssh-client"), "-q", "-p", "-N", "a secret", "-f", str(locked)])
    assert "Permission denied" in (await refused(sshd, identity_files=(locked,))).message
    done([program("ssh-add", "openssh-client"), "-q", str(sshd.client_key)])
    async with sshd.transport(identity_files=(locked,)) as transport:
        assert await said(transport) == "here"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("gate", Place("gate")),
        ("me@gate", Place("gate", None, "me")),
        ("me@gate:2222", Place("gate", 2222, "me")),
        ("gate:2222", Place("gate", 2222)),
        ("[::1]:2222", Place("::1", 2222)),
        ("me@[::1]", Place("::1", None, "me")),
        ("me@dom@gate", Place("gate", None, "me@dom")),
    ],
)
def test_a_jump_is_read_as_ssh_reads_it(text: str, place: Place) -> None:
    assert Place.parse(text) == place


@pytest.mark.parametrize(
    "section",
    [
        {"address": "-oProxyCommand=touch x"},
        {"address": "a b"},
        {"address": "a;b"},
        {"address": "$(x)"},
        {"address": ""},
        {"user": "-l"},
        {"user": "a b"},
        {"user": "x\n"},
        {"jump": ["-J"]},
        {"jump": ["a b"]},
        {"port": 0},
        {"port": 65536},
        {"max_sessions": 2},
        {"lookouts": []},
        {"lookouts": ["ruby"]},
        {"answer_timeout": "0s"},
        {"retry_after": "soon"},
        {"no_such": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(section: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SshTransportSpec.model_validate({"type": "ssh", **section})


@pytest.mark.parametrize("address", ["login1.hpc.example", "10.0.0.1", "::1", "[fe80::1%eth0]", "my_alias"])
def test_usual_addresses_are_taken(address: str) -> None:
    assert SshTransportSpec(address=address).address == address
