"""Births, forks and merges a second in the engine; snapshots and restorations beside a plain copy of their files."""

import asyncio
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

import click
import torch
from common import machine, write_json
from gymnasium.spaces import Discrete
from plures_server.act_request import ActRequest
from plures_server.engine import Engine, EngineConfig
from plures_server.merge import Members, MergeRequest, merge
from plures_server.pool import PoolConfig
from plures_server.snapshots import Snapshots
from plures_server.students import ServedStudent, Students
from plures_students.config import StudentConfig
from plures_students.model import Student

MILLION = 1_000_000
ROUNDS = 7

Lap: TypeAlias = Callable[[str, float, str], None]


@dataclass(frozen=True)
class Row:
    """One measurement: how much of what a second."""

    what: str
    rate: float
    unit: str


async def measure(engine: Engine, agents: int, folder: Path) -> list[Row]:
    """Everything in turn, on agents that have stepped once."""
    rows, lap = laps()
    await engine.call(lambda pool: pool.start("born", "bench", MILLION, 0))
    lap("birth", MILLION, "agents/s")
    await engine.call(lambda pool: pool.start("joe", "bench", agents, 0))
    await engine.act(ActRequest("joe", None))
    lap("first step", agents, "agents/s")
    await engine.call(lambda pool: pool.fork("joe", None, MILLION // agents, "forks", 0))
    lap("fork", MILLION // agents * agents, "agents/s")
    await engine.drive(merge(engine.pool, MergeRequest((Members("joe", None),), "merged")))
    lap("merge", agents, "members/s")
    return rows + await measure_files(engine, folder)


async def measure_files(engine: Engine, folder: Path) -> list[Row]:
    """Files in turn with a plain copy of them, the median of some rounds; the first restoration touches new memory."""
    snapshots = Snapshots(engine, folder)
    rates: dict[str, list[float]] = defaultdict(list)
    for number in range(ROUNDS):
        rows, lap = laps()
        name = f"round-{number}"
        size = (await snapshots.write("joe", name)).bytes / 1e9
        lap("snapshot", size, "GB/s")
        await snapshots.restore(name, "again")
        lap("restore" if number else "restore, new memory", size, "GB/s")
        shutil.copytree(folder / name, folder / "copy", copy_function=copy_synced)
        lap("plain copy, synced", size, "GB/s")
        await engine.call(lambda pool: pool.retire("again", None))
        shutil.rmtree(folder / "copy")
        snapshots.delete(name)
        for row in rows:
            rates[row.what].append(row.rate)
    return [Row(what, median(found), "GB/s") for what, found in rates.items()]


def laps() -> tuple[list[Row], Lap]:
    """Rows, and what adds to them how much was done since it was last called."""
    rows, began = [], time.perf_counter()

    def lap(what: str, amount: float, unit: str) -> None:
        nonlocal began
        now = time.perf_counter()
        rows.append(Row(what, amount / (now - began), unit))
        began = now

    return rows, lap


def copy_synced(source: str, target: str) -> None:
    """Copy a file, to the disk."""
    shutil.copyfile(source, target)
    with open(target, "rb+") as file:
        os.fsync(file.fileno())


@click.command()
@click.option("--agents", type=click.IntRange(1, 200_000), default=50_000)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(agents: int, json_path: Path | None) -> None:
    """Measure a student with a page of 4 KiB."""
    student = ServedStudent("bench", Student(StudentConfig(Discrete(1), Discrete(2))).eval(), {}, "0" * 64)
    pool = PoolConfig(4 * MILLION, 4 * agents * student.page_bytes)
    engine = Engine(EngineConfig(), pool, Students([student]), torch.device("cpu"))
    engine.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows = asyncio.run(measure(engine, agents, Path(folder, "snapshots")))
    finally:
        engine.stop()
    click.echo(machine())
    for row in rows:
        click.echo(f"{row.what:22} {row.rate:16,.2f} {row.unit}")
    if json_path:
        write_json(json_path, "lineage", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
