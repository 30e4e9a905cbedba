"""Cohorts that descend from each other: each lives one round, and the next one is born of it.

N agents of a generation, one an item; S columns of a summary.
"""

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..aio.cohort import AsyncCohort
from ..errors import NotFound
from ..items import Items
from ..results import RunProgress
from .manifest import Manifest
from .persistence import persist
from .problem import Results
from .progress import Report, Step

Ordinals: TypeAlias = NDArray[np.int64]
Bear: TypeAlias = Callable[[AsyncCohort, Ordinals, str], Awaitable[Ordinals]]
"""Make a cohort of this name of agents [N] of another, and tell which of its agents [N] the next items are for."""


class Generations:
    """Rounds of a cohort's descendants; the cohort itself is left as it is, and they are retired at the end.

    A generation is retired only when what the next one found is written down. So a coordinator that goes on by
    another's manifest has the last generation that lived its round to the end, and makes the next one anew.
    """

    def __init__(self, cohort: AsyncCohort, *, ordinals: Ordinals, report: Report, manifest: Path | str | None) -> None:
        self._cohort, self._ordinals, self._report = cohort, ordinals, report
        self._manifest = Manifest.open(manifest, cohort.name)
        self._lived = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._manifest.is_ours:
            for number in (self._lived - 2, self._lived - 1):
                await self._end(number)
        self._manifest.remove()

    async def live(self, items: Items, bear: Bear) -> Results:
        """The results of one round: a generation is born of the last one, and does an item each."""
        number = self._lived
        self._lived += 1
        digest = items.digest()
        if number < self._manifest.found:
            told = self._manifest.entries[number]
            self._manifest.agree(number, {**told, "items": digest})
            results = _read(told)
        else:
            results = await self._born_and_live(number, items, bear)
            self._manifest.add({**_written(results), "items": digest})
        await self._end(number - 1)
        self._ordinals = results.ordinal.astype(np.int64)
        return results

    async def _born_and_live(self, number: int, items: Items, bear: Bear) -> Results:
        # One of that name was made by a coordinator that died, and nobody knows how far it came.
        await self._end(number)
        living = self._generation(number)
        ordinals = await bear(self._generation(number - 1), self._ordinals, living.name)
        return await _run(living, ordinals, items, self._report, f"round {number + 1}")

    async def _end(self, number: int) -> None:
        if number >= 0:
            with suppress(NotFound):
                # A run that was cancelled gives its agents back a little later.
                await persist(self._generation(number).retire, passing=("AGENTS_BUSY",))

    def _generation(self, number: int) -> AsyncCohort:
        return self._cohort.beside(f"{self._manifest.name}-{number}") if number >= 0 else self._cohort


async def _run(living: AsyncCohort, ordinals: Ordinals, items: Items, report: Report, label: str) -> Results:
    """Each agent its item. Those with most steps stand first in a run."""
    order_N = np.argsort(-items.steps.astype(np.int64), kind="stable")
    ordered = items.rows(order_N)
    running = living.run(
        items.task, ordered.parameters, steps=ordered.steps, seed=int(items.seed[0]), ordinals=ordinals[order_N]
    )
    async with running:
        async for event in running:
            if isinstance(event, RunProgress):
                report(Step(label, event.tick, event.ticks))
        result = await running.result()
    return Results(result.summary[np.argsort(order_N)], result.columns, ordinals.astype(np.uint32))


def _written(results: Results) -> dict[str, Any]:
    summary = np.ascontiguousarray(results.summary, "<f4")
    return {
        "columns": list(results.columns),
        "summary": b64encode(summary.tobytes()).decode(),
        "ordinals": results.ordinal.tolist(),
    }


def _read(entry: dict[str, Any]) -> Results:
    columns = tuple(entry["columns"])
    summary = np.frombuffer(b64decode(entry["summary"]), "<f4").reshape(-1, len(columns))
    return Results(summary.astype(np.float32), columns, np.array(entry["ordinals"], np.uint32))
