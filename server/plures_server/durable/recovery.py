"""Recovery: at the start of a server, each journal's cohorts as they were when the last server ended."""

import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from google.protobuf.message import DecodeError
from plures.v1 import log_pb2

from ..engine import Engine
from ..errors import DamagedLog, InvalidArgument, PluresError, RecoveryRefused, StudentMismatch
from ..horizon import HorizonPolicy, enforce, policy_from
from ..manifest import MANIFEST
from ..names import ID_PATTERN, check_id
from ..restoring import admit, choose, needed, student_for
from ..snapshot_reading import read_manifest, read_pages, read_saved
from . import checkpoints, frames
from .checkpoints import Checkpoint
from .folders import GONE, make_folder, remove_folder, sync_folder
from .journal import Journal
from .log_files import LogFiles, Spot, log_file, log_numbers
from .moment import config_digest
from .policy import Durability, durability_from
from .replay import Replay

log = logging.getLogger(__name__)

SET_ASIDE = "set-aside"
_JOURNAL = re.compile(rf"{ID_PATTERN}\.([1-9]\d*)")


@dataclass(frozen=True)
class _Torn:
    """A log file that ends in a write that was cut short, after so many whole bytes."""

    path: Path
    whole_bytes: int


@dataclass(frozen=True)
class _Recovered:
    """A journal; what is to be done to its files before they are written again; and what is to be logged then."""

    journal: Journal
    torn: _Torn | None = None
    ended: list[log_pb2.LogEntry] = field(default_factory=list)


def recover(engine: Engine, set_aside: Sequence[str] = ()) -> None:
    """Bring back what is durable into an engine that is not started yet.

    `set_aside`: journals to leave out; they are moved to a folder of that name. When something is not as it was
    written, raises RecoveryRefused, which says what and the way out, and changes nothing more.
    """
    folder = engine.journals.folder
    assert folder is not None
    make_folder(folder)
    for name in set_aside:
        _set_aside(folder, name)
    journals = _journals(folder)
    with torch.inference_mode():
        recovered = [_recover(engine, journals[number]) for number in sorted(journals)]
    engine.journals.number_from(max(journals, default=0) + 1)
    for one in recovered:
        _clean(one)
        _take_in(engine, one)


def _journals(folder: Path) -> dict[int, Path]:
    """Where each journal is, by the number in its name, which is in the order of their beginnings."""
    for path in folder.iterdir():
        if path.name.endswith(GONE):
            shutil.rmtree(path)
    found = {path: _JOURNAL.fullmatch(path.name) for path in folder.iterdir()}
    return {int(name[1]): path for path, name in found.items() if name}


def _set_aside(folder: Path, name: str) -> None:
    if name not in (known := sorted(path.name for path in _journals(folder).values())):
        raise InvalidArgument(f"there is no journal {name!r} to set aside; there are: {', '.join(known) or 'none'}")
    make_folder(folder / SET_ASIDE)
    os.rename(folder / name, folder / SET_ASIDE / name)
    sync_folder(folder / SET_ASIDE)
    sync_folder(folder)
    log.warning("journal %s was set aside; its files are in %s", name, folder / SET_ASIDE / name)


def _recover(engine: Engine, folder: Path) -> _Recovered:
    try:
        return _read(engine, folder)
    except (PluresError, OSError, DecodeError) as error:
        raise RecoveryRefused(
            f"the cohorts of {folder} cannot be recovered: {error}. Mend that; or start without them: --set-aside "
            f"{folder.name} keeps their files in {folder.parent / SET_ASIDE}"
        ) from error


def _read(engine: Engine, folder: Path) -> _Recovered:
    began = time.monotonic()
    journal = Journal(folder, Durability(), LogFiles(folder, Spot(1, 1), engine.journals.config.segment_bytes))
    journal.opened.set_result(None)
    if not (numbers := checkpoints.checkpoint_numbers(folder)):
        if log_numbers(folder):
            raise DamagedLog(f"{folder} has a log, and no checkpoint that it goes on from")
        return _Recovered(journal)
    checkpoint = checkpoints.read(folder, numbers[-1])
    journal.durability = durability_from(checkpoint.family.durability) or Durability()
    journal.checkpoint = checkpoint.number
    engine.pool.exchange({})
    for cohort in checkpoint.family.cohorts:
        _load(engine, checkpoint.folder, cohort)
    recovered = _do_again(engine, journal, checkpoint) if journal.logs else _Recovered(journal)
    journal.cohorts = engine.pool.exchange({})
    log.info("recovered %s in %.1f s: %s", folder.name, time.monotonic() - began, ", ".join(journal.cohorts))
    return recovered


def _load(engine: Engine, folder: Path, logged: log_pb2.LoggedCohort) -> None:
    """Start a cohort from its snapshot in a checkpoint."""
    source = folder / check_id(logged.name, "cohort")
    manifest = read_manifest(source)
    if hashlib.sha256((source / MANIFEST).read_bytes()).hexdigest() != logged.manifest_digest:
        raise DamagedLog(f"{source / MANIFEST} was altered")
    student = student_for(manifest, engine.students)
    if config_digest(student) != logged.config_digest:
        raise StudentMismatch(f"the config of student {student.name!r} has changed since; load that student")
    saved = read_saved(source, manifest, student.config.actions, engine.pool.event_numbers)
    chosen = choose(saved, logged.name, None)
    pages = engine.pool.pages(student)
    handles = pages.acquire(len(chosen.pages))
    first = 1
    for shard in read_pages(source, manifest):
        pages.put(*needed(chosen, handles, shard, first))
        first += len(shard)
    cohort = admit(engine.pool, logged.name, None, manifest, chosen, handles)
    cohort.parent = logged.parent
    cohort.horizon_policy = policy_from(logged.horizon_policy) or HorizonPolicy.WARN
    pages.release(handles)


def _do_again(engine: Engine, journal: Journal, checkpoint: Checkpoint) -> _Recovered:
    """Replay the log from a checkpoint on."""
    replay = Replay(engine, checkpoint.family.run_count)
    segments = [number for number in log_numbers(journal.folder) if number >= checkpoint.number]
    spot, torn = Spot(checkpoint.number, checkpoint.family.next_frame), None
    for number in segments:
        path = journal.folder / log_file(number)
        segment = frames.read_segment(path, number, is_last=number == segments[-1])
        spot = Spot(number + 1, frames.check_order(path, segment.frames, spot.frame))
        for frame in segment.frames:
            _do_frame(replay, path, frame)
        journal.log_bytes += segment.whole_bytes
        torn = _Torn(path, segment.whole_bytes) if segment.whole_bytes < path.stat().st_size else None
    ended = replay.finish()
    journal.run_count = replay.run_count
    journal.files = LogFiles(journal.folder, spot, engine.journals.config.segment_bytes)
    return _Recovered(journal, torn, ended)


def _do_frame(replay: Replay, path: Path, frame: frames.Frame) -> None:
    try:
        for entry in log_pb2.LogFrame.FromString(frame.payload).entries:
            replay.do(log_pb2.LogEntry.FromString(entry))
    except DamagedLog as error:
        raise DamagedLog(f"{path}, at byte {frame.offset:,} or shortly before: {error}") from error


def _clean(one: _Recovered) -> None:
    """Leave on the disk just what was recovered."""
    if one.torn is not None:
        log.warning("%s ended in a write that was cut short, of which nothing was acknowledged", one.torn.path)
        _cut(one.torn)
    if one.journal.checkpoint:
        checkpoints.forget_before(one.journal.folder, one.journal.checkpoint)
    if not one.journal.cohorts:
        remove_folder(one.journal.folder)


def _cut(torn: _Torn) -> None:
    if torn.whole_bytes == 0:
        torn.path.unlink()
    else:
        with torn.path.open("r+b") as file:
            file.truncate(torn.whole_bytes)
            os.fsync(file.fileno())
    sync_folder(torn.path.parent)


def _take_in(engine: Engine, one: _Recovered) -> None:
    journal = one.journal
    if not journal.cohorts:
        return
    engine.journals.recovered(journal, one.ended)
    earlier = engine.pool.exchange({})
    for name in earlier.keys() & journal.cohorts.keys():
        # It was retired before this one was begun; that alone did not come to the disk.
        engine.pool.exchange({name: earlier[name]})
        engine.pool.retire(name, None)
        engine.journals.answer(Future(), None)
    engine.pool.exchange(earlier | journal.cohorts)
    # A crash may have come between an agent's last step and what its cohort's policy makes of it.
    for cohort in list(journal.cohorts.values()):
        enforce(engine.pool, cohort, np.flatnonzero(cohort.alive))
    engine.journals.answer(Future(), None)
