"""Logs and checkpoints that are not as they were written: a torn end is cut off, all else is refused with its place."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest
from plures_server.durable import frames
from plures_server.durable.policy import DurableConfig
from plures_server.engine import Engine
from plures_server.errors import DamagedLog, InvalidArgument, RecoveryRefused
from plures_students.config import StudentConfig
from plures_students.model import Student

from ..helpers import Lives, act, names_in, served, small_student, wait_until
from .conftest import House
from .helpers import everything, journal, last_log, start


@pytest.fixture
async def three_steps(house: House) -> list[Lives]:
    """Two agents after 0, 1, 2 and 3 steps, each of which is a record of the log."""
    engine = house.engine()
    await start(engine, "joe", 2)
    lives = [(await everything(engine))["joe"]]
    for _ in range(3):
        await act(engine, "joe")
        lives.append((await everything(engine))["joe"])
    house.stop(engine)
    return lives


def segment(house: House) -> frames.Segment:
    return frames.read_segment(last_log(house.folder), 1, is_last=True)


async def test_a_log_cut_short_anywhere_in_its_last_record_has_all_before(
    house: House, three_steps: list[Lives]
) -> None:
    whole = last_log(house.folder).read_bytes()
    for length in range(segment(house).frames[-1].offset, len(whole)):
        copy = house.copy()
        last_log(copy).write_bytes(whole[:length])
        engine = house.engine(folder=copy)
        assert (await everything(engine))["joe"].same_bits(three_steps[2]), length
        await act(engine, "joe")
        assert (await everything(engine))["joe"].same_bits(three_steps[3]), length
        house.stop(engine)
        again = house.engine(folder=copy)
        assert (await everything(again))["joe"].same_bits(three_steps[3]), length
        house.stop(again)


def test_a_damaged_byte_anywhere_is_found(house: House, three_steps: list[Lives]) -> None:
    """In the last record it may be what a cut write left; before it nothing may be left out."""
    path = last_log(house.folder)
    whole, last = path.read_bytes(), segment(house).frames[-1].offset
    for offset in range(len(whole)):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 0x20]) + whole[offset + 1 :])
        if offset < last:
            with pytest.raises(DamagedLog, match=re.escape(f"{path} is damaged at byte ")):
                frames.read_segment(path, 1, is_last=True)
        else:
            found = frames.read_segment(path, 1, is_last=True)
            assert (len(found.frames), found.whole_bytes) == (2, last)
        with pytest.raises(DamagedLog, match="damaged at byte"):
            frames.read_segment(path, 1, is_last=False)


def test_a_record_that_a_client_made_up_is_none(house: House, three_steps: list[Lives]) -> None:
    """Without the file's salt nobody can write one; so a torn record with it in its midst is a torn record."""
    path = last_log(house.folder)
    whole, last = path.read_bytes(), segment(house).frames[-1].offset
    forged = frames.encode_frame(bytes(frames.SALT_BYTES), 3, b"forged")
    path.write_bytes(whole[:last] + b"\0" * 10 + forged * 2)
    assert frames.read_segment(path, 1, is_last=True).whole_bytes == last


def test_an_empty_file_at_the_end_is_one_that_was_just_begun(house: House, three_steps: list[Lives]) -> None:
    for length in (0, 5, frames.HEADER_BYTES - 1, frames.HEADER_BYTES):
        copy = house.copy()
        header = frames.encode_header(b"s" * frames.SALT_BYTES, 2)
        (journal(copy) / "log-00000002").write_bytes(header[:length])
        assert asyncio.run(everything(house.engine(folder=copy)))["joe"].same_bits(three_steps[3])


def test_a_damaged_record_keeps_the_server_from_starting(house: House, three_steps: list[Lives]) -> None:
    path = last_log(house.folder)
    whole, second = path.read_bytes(), segment(house).frames[1].offset
    path.write_bytes(whole[: second + 30] + b"\xff" + whole[second + 31 :])
    before = path.read_bytes()
    with pytest.raises(RecoveryRefused) as refused:
        house.engine()
    said = str(refused.value)
    assert f"{path} is damaged at byte {second}: a record is damaged, and a whole one follows" in said
    assert "--set-aside joe.1" in said
    assert path.read_bytes() == before
    engine = house.engine(set_aside=("joe.1",))
    assert asyncio.run(everything(engine)) == {}
    assert names_in(house.folder) == ["set-aside"]
    assert names_in(house.folder / "set-aside" / "joe.1") == ["checkpoint-00000001", "log-00000001"]


async def test_a_log_file_that_is_missing_is_missed(house: House) -> None:
    engine = house.engine(DurableConfig(segment_bytes=1))
    await start(engine, "joe", 2)
    for _ in range(3):
        await act(engine, "joe")
    house.stop(engine)
    (journal(house.folder) / "log-00000002").unlink()
    with pytest.raises(RecoveryRefused, match=r"log-00000003 is damaged at byte .*: record 3 stands where 2 should"):
        house.engine()


@pytest.mark.parametrize(
    "file", ["family", "joe/manifest.json", "joe/agents.safetensors", "joe/pages-00000.safetensors"]
)
def test_a_damaged_checkpoint_keeps_the_server_from_starting(house: House, three_steps: list[Lives], file: str) -> None:
    house.stop(asyncio.run(_with_a_checkpoint(house)))
    [checkpoint] = journal(house.folder).glob("checkpoint-*")
    path = checkpoint / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(RecoveryRefused, match=r"--set-aside joe\.1"):
        house.engine()


async def _with_a_checkpoint(house: House) -> Engine:
    engine = house.engine(DurableConfig(checkpoint_bytes=1, pause_seconds=0))
    await act(engine, "joe")

    async def is_written() -> bool:
        return names_in(journal(house.folder))[0] > "checkpoint-00000001"

    await wait_until(is_written)
    return engine


def test_a_checkpoint_that_is_missing_is_missed(house: House, three_steps: list[Lives]) -> None:
    shutil.rmtree(journal(house.folder) / "checkpoint-00000001")
    with pytest.raises(RecoveryRefused, match="has a log, and no checkpoint that it goes on from"):
        house.engine()


def test_a_journal_whose_first_checkpoint_was_never_done_is_removed(house: House, three_steps: list[Lives]) -> None:
    (house.folder / "jane.2" / ".checkpoint.partial").mkdir(parents=True)
    house.engine()
    assert names_in(house.folder) == ["joe.1"]


def test_another_students_weights_are_refused(house: House, three_steps: list[Lives]) -> None:
    other = served(small_student(seed=1), digest="1" * 64)
    with pytest.raises(
        RecoveryRefused, match=r"copies of 'joe' with the weights 000000.*load that student.*--set-aside"
    ):
        house.engine(student=other)


def test_another_students_config_is_refused(house: House, three_steps: list[Lives]) -> None:
    config = small_student().config
    other = StudentConfig(**{**vars(config), "mlp_width": 16})
    with pytest.raises(RecoveryRefused, match="the config of student 'joe' has changed"):
        house.engine(student=served(Student(other).eval().requires_grad_(False)))


async def test_a_machine_that_steps_otherwise_is_found_out(house: House) -> None:
    """Weights that differ under the same digest stand for one."""
    engine = house.engine()
    await start(engine, "joe", 200)
    await act(engine, "joe")
    house.stop(engine)
    with pytest.raises(RecoveryRefused, match="agents act otherwise than when it was written"):
        house.engine(student=served(small_student(seed=2)))


def test_only_journals_there_are_can_be_set_aside(house: House, three_steps: list[Lives]) -> None:
    with pytest.raises(InvalidArgument, match=r"no journal 'jane\.1' to set aside; there are: joe\.1"):
        house.engine(set_aside=("jane.1",))


def test_no_file_outside_the_folder_is_set_aside(house: House, three_steps: list[Lives], tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no journal"):
        house.engine(set_aside=("../../x",))
