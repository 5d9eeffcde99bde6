"""Every transport looks at files as `protocols.Transport.look` says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.model import HEAD_BYTES
from reconciler.protocols import Glimpse, Sight, Transport, Want


async def look(transport: Transport, want: Want) -> Glimpse:
    (seen,) = await transport.look([want])
    return seen


async def test_a_file_is_read_with_its_stat_and_head(transport: Transport, tmp_path: Path, grain: int) -> None:
    file = tmp_path / "a b'$(x).out"
    file.write_bytes(b"0123456789" * 20)
    seen = await look(transport, Want(str(file)))
    stat = file.stat()
    assert (seen.sight, seen.start, seen.data, seen.head) == (
        Sight.READ,
        0,
        b"0123456789" * 20,
        (b"0123456789" * 20)[:HEAD_BYTES],
    )
    assert seen.stat is not None
    assert seen.stat.size == 200
    assert (seen.stat.device, seen.stat.inode) in ((stat.st_dev, stat.st_ino), (0, 1))  # 0 and 1: SFTP
    assert abs(seen.stat.mtime_ns - stat.st_mtime_ns) < grain


async def test_what_did_not_change_is_not_read(transport: Transport, tmp_path: Path, grain: int) -> None:
    file = tmp_path / "out"
    file.write_text("hello")
    known = (await look(transport, Want(str(file)))).stat
    again = await look(transport, Want(str(file), offset=5, known=known))
    assert (again.sight, again.data) == (Sight.UNCHANGED, b"")
    file.write_text("hellp")  # the same size
    os.utime(file, ns=(0, known.mtime_ns + grain if known else 1))
    assert (await look(transport, Want(str(file), offset=5, known=known))).sight is Sight.READ


@pytest.mark.parametrize(
    ("offset", "context", "limit", "start", "data"),
    [
        (4, 0, 100, 4, b"456789"),
        (4, 2, 100, 2, b"23456789"),
        (4, 9, 100, 0, b"0123456789"),
        (4, 2, 3, 2, b"23456"),
        (1, 9, 3, 0, b"0123"),
        (10, 3, 100, 7, b"789"),
        (10, 0, 100, 10, b""),
        (12, 2, 100, 10, b""),
        (13, 2, 5, 0, b"0123456"),
        (99, 4, 3, 0, b"0123456"),
    ],
)
async def test_bytes_come_from_where_they_were_wanted(
    transport: Transport, tmp_path: Path, offset: int, context: int, limit: int, start: int, data: bytes
) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"0123456789")
    seen = await look(transport, Want(str(file), offset=offset, context=context, limit=limit))
    assert (seen.sight, seen.start, seen.data, seen.head) == (Sight.READ, start, data, b"0123456789")


async def test_large_reads_are_whole(transport: Transport, tmp_path: Path) -> None:
    content = os.urandom(5_000_000)
    (tmp_path / "out").write_bytes(content)
    seen = await look(transport, Want(str(tmp_path / "out"), offset=1000, limit=4_500_000))
    assert seen.data == content[1000:4_501_000]


async def test_an_empty_file_is_read_as_empty(transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    seen = await look(transport, Want(str(tmp_path / "out")))
    assert (seen.sight, seen.data, seen.head) == (Sight.READ, b"", b"")
    assert seen.stat is not None
    assert seen.stat.size == 0


async def test_a_file_that_is_not_there_is_missing(transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    paths = [tmp_path / "nothing", tmp_path / "no" / "directory", tmp_path / "file" / "below", tmp_path / "dangling"]
    assert [seen.sight for seen in await transport.look([Want(str(path)) for path in paths])] == [Sight.MISSING] * 4


async def test_a_link_is_followed(transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    assert (await look(transport, Want(str(tmp_path / "link")))).data == b"x"


async def test_what_is_no_regular_file_fails_at_once(transport: Transport, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    paths = [str(tmp_path / "fifo"), str(tmp_path), "/dev/zero"]
    seen = await transport.look([Want(path) for path in paths])
    assert [glimpse.sight for glimpse in seen] == [Sight.FAILED] * 3
    assert all(glimpse.reason for glimpse in seen)


async def test_a_link_to_itself_is_no_file(transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert (await look(transport, Want(str(tmp_path / "loop")))).sight in (Sight.FAILED, Sight.MISSING)  # SFTP: missing


async def test_a_path_that_cannot_be_one_fails_alone(transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    paths = ["a\0b", str(tmp_path / "out"), "/" + "x" * 5000]
    assert [seen.sight for seen in await transport.look([Want(path) for path in paths])] == [
        Sight.FAILED,
        Sight.READ,
        Sight.FAILED,
    ]


async def test_names_that_are_not_text_are_found(transport: Transport, tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"\xff\xfe\nnew\xc3\xa9")
    file.write_text("x")
    assert (await look(transport, Want(str(file)))).data == b"x"


async def test_answers_stand_in_the_order_of_the_questions(transport: Transport, tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).write_text(str(number))
    wants = [Want(str(tmp_path / str(number))) for number in range(60)]
    seen = await transport.look(wants)
    assert [glimpse.data for glimpse in seen] == [str(number).encode() for number in range(50)] + [b""] * 10


async def test_no_question_has_no_answer(transport: Transport) -> None:
    assert list(await transport.look([])) == []


async def test_a_file_that_grows_under_the_look_is_read_in_order(transport: Transport, tmp_path: Path) -> None:
    file, offset, known, collected = tmp_path / "out", 0, None, b""
    for number in range(30):
        with file.open("ab") as out:
            out.write(f"line {number}\n".encode())
        seen = await look(transport, Want(str(file), offset=offset, known=known))
        collected += seen.data
        offset, known = offset + len(seen.data), seen.stat
    assert collected == file.read_bytes()
