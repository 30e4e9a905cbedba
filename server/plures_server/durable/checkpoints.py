"""Checkpoints: a snapshot of each cohort of a family, all of one moment, and from which frame on the log goes on.

A folder `checkpoint-00000001` appears under its name only when it is whole and on the disk. It covers what was logged
before the log file of the same number.
"""

import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError
from plures.v1 import log_pb2

from .. import snapshot_files
from ..errors import DamagedLog
from ..freezing import Frozen
from ..transfer import Transfer
from . import frames
from .folders import make_folder, sync_folder
from .log_files import log_file, log_numbers

FAMILY = "family"
FIRST = 1
_CHECKPOINT = re.compile(r"checkpoint-(\d{8})")
_PARTIAL = ".checkpoint.partial"


@dataclass(frozen=True)
class Checkpoint:
    """Where a checkpoint is, and what it says of its cohorts."""

    folder: Path
    number: int
    family: log_pb2.LogCheckpoint


def write(folder: Path, number: int, family: log_pb2.LogCheckpoint, frozen: dict[str, Frozen]) -> int:
    """Write a checkpoint of cohorts by name into a journal's folder, which the first one makes; its bytes."""
    # Only the first makes the folder: one that is gone was removed with the last cohort, for good.
    if number == FIRST:
        make_folder(folder)
    partial = folder / _PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    written = [snapshot_files.write(partial / name, cohort.content, Transfer()) for name, cohort in frozen.items()]
    for cohort, snapshot in zip(family.cohorts, written, strict=True):
        cohort.manifest_digest = snapshot.digest
    _write_family(partial / FAMILY, number, family)
    sync_folder(partial)
    os.rename(partial, folder / _name(number))
    sync_folder(folder)
    return sum(snapshot.bytes for snapshot in written)


def forget_before(folder: Path, number: int) -> None:
    """Remove the checkpoints and log files that a checkpoint makes superfluous."""
    for older in checkpoint_numbers(folder):
        if older < number:
            shutil.rmtree(folder / _name(older))
    for older in log_numbers(folder):
        if older < number:
            (folder / log_file(older)).unlink()


def checkpoint_numbers(folder: Path) -> list[int]:
    """The numbers of the checkpoints there are, ascending."""
    return sorted(int(found[1]) for path in folder.iterdir() if (found := _CHECKPOINT.fullmatch(path.name)))


def read(folder: Path, number: int) -> Checkpoint:
    """What a checkpoint says; raise DamagedLog when it is not as it was written."""
    path = folder / _name(number) / FAMILY
    try:
        [frame] = frames.read_segment(path, number, is_last=False).frames
        return Checkpoint(path.parent, number, log_pb2.LogCheckpoint.FromString(frame.payload))
    except (OSError, ValueError, DecodeError) as error:
        raise DamagedLog(f"{path} cannot be read: {error}") from error


def _write_family(path: Path, number: int, family: log_pb2.LogCheckpoint) -> None:
    salt = secrets.token_bytes(frames.SALT_BYTES)
    with path.open("xb") as file:
        file.write(frames.encode_header(salt, number))
        file.write(frames.encode_frame(salt, 1, family.SerializeToString()))
        file.flush()
        os.fsync(file.fileno())


def _name(number: int) -> str:
    return f"checkpoint-{number:08}"
