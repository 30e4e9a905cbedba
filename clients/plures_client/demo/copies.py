"""A hundred thousand copies of one person at work, and copies of everyone living the sessions that people lived.

C copies, T ticks, P people.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.progress import Progress

from ..client import Client
from ..results import RunProgress, RunResult
from ..sync.cohort import Cohort
from ..sync.streams import Run
from .people import Person

TASK = "bandit"


@dataclass(frozen=True)
class Crowd:
    """How fast many copies of a person went through the person's last block."""

    copies: int
    decisions: int
    birth_seconds: float
    seconds: float
    person_seconds_per_decision: float
    state_bytes: int

    @property
    def decisions_per_second(self) -> float:
        """All copies together."""
        return self.copies * self.decisions / self.seconds

    @property
    def speed_up_each(self) -> float:
        """One copy's decisions per second over the person's."""
        return self.person_seconds_per_decision * self.decisions / self.seconds

    @property
    def speed_up_all(self) -> float:
        """All copies' decisions per second over the person's."""
        return self.person_seconds_per_decision * self.decisions_per_second


def run_crowd(agent: Cohort, ordinal: int, person: Person, copies: int) -> tuple[Cohort, Crowd]:
    """Fork one agent and let the copies play the bandit of the person's last block for as many presses."""
    block = person.blocks[-1]
    presses = block.stop - block.start
    began = time.perf_counter()
    crowd = agent.fork("joe", [ordinal], copies=copies, seed=4)
    born = time.perf_counter() - began
    result = _watched(crowd.run(TASK, person.rates[block][:1], steps=presses, seed=5), f"{copies:,} copies of Joe")
    figures = Crowd(
        copies=copies,
        decisions=presses,
        birth_seconds=born,
        seconds=result.seconds,
        person_seconds_per_decision=person.seconds_per_decision,
        state_bytes=crowd.describe().state_bytes,
    )
    return crowd, figures


def live_sessions(client: Client, student: str, people: list[Person], each: int, out: Path, card: str) -> None:
    """Newborn copies, `each` a person, live the person's whole session: its blocks, their bandits, their lengths.

    What they did is written as lives to `out`, beside the people's own `card`.
    """
    cohort = client.cohorts.start("sessions", student=student, count=each * len(people), seed=6)
    blocks = [_live_block(cohort, people, each, number) for number in range(_most_blocks(people))]
    cohort.retire()
    out.mkdir(parents=True)
    pq.write_table(_table([rows for block in blocks for rows in block]), out / "lives.parquet", compression="zstd")
    (out / "card.json").write_text(card)


def _most_blocks(people: list[Person]) -> int:
    return max(len(person.blocks) for person in people)


Columns = dict[str, NDArray[np.generic]]


def _live_block(cohort: Cohort, people: list[Person], each: int, number: int) -> list[Columns]:
    """One block of everyone's session, all copies at once; a table of rows for each copy."""
    who = [p for p, person in enumerate(people) if len(person.blocks) > number]
    bounds = {p: people[p].blocks[number] for p in who}
    who.sort(key=lambda p: bounds[p].start - bounds[p].stop)
    ordinals = np.concatenate([p * each + np.arange(each) for p in who])
    steps = np.repeat([bounds[p].stop - bounds[p].start for p in who], each)
    rates = np.repeat([people[p].rates[bounds[p].start] for p in who], each, axis=0)
    run = cohort.run(TASK, rates, steps=steps, seed=7 + number, record=len(ordinals), ordinals=ordinals)
    result = _watched(run, f"block {number + 1}: {len(ordinals):,} copies of {len(who)} people")
    return [
        _rows(people[ordinal // each], bounds[ordinal // each], int(ordinal), number, result, place)
        for place, ordinal in enumerate(ordinals)
    ]


def _rows(person: Person, block: slice, ordinal: int, number: int, result: RunResult, place: int) -> Columns:
    presses = block.stop - block.start
    at = np.arange(presses)
    return {
        "life": np.full(presses, ordinal, np.int64),
        "step": block.start + at,
        "action": result.actions[:presses, place],
        "reward": result.rewards[:presses, place],
        "done": at == presses - 1,
        "block": np.full(presses, number + 1, np.int64),
        "best_action": person.best_action[block],
    }


def _table(parts: list[Columns]) -> pa.Table:
    """All rows, each life's together and in order."""
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((columns["step"], columns["life"]))
    return pa.table({name: values[order] for name, values in columns.items()})


def _watched(run: Run, label: str) -> RunResult:
    """The result of a run, with a bar while it goes on."""
    with Progress() as bars:
        bar = bars.add_task(label, total=None)
        for event in run:
            if isinstance(event, RunProgress):
                bars.update(bar, total=event.ticks, completed=event.tick)
    return run.result()
