"""Agents held as they are, while they go on: what a snapshot is written from."""

from dataclasses import dataclass

import numpy as np
import torch

from . import saved_lineage
from .cohort import Cohort, Ordinals
from .lineage import history
from .pages import NEWBORN, Handles, Pages
from .pool import Pool
from .snapshot_files import Content

CARRIED = ("page", "number", "step", "last_action", "reward", "alive")
"""What each agent is, as its cohort has it."""


@dataclass(frozen=True)
class Frozen:
    """Agents as they were, and the references that keep their states so."""

    content: Content
    pages: Pages
    held: Handles

    @property
    def bytes(self) -> int:
        """About what the files will take: those of the states, each once."""
        return len(np.unique(self.held)) * self.pages.page_bytes

    def let_go(self) -> None:
        self.pages.release(self.held)


def freeze_idle(pool: Pool, name: str, ordinals: Ordinals | None) -> Frozen:
    """As `freeze`, of a cohort by name; raise AgentsBusy when some of the agents are."""
    cohort = pool.get(name)
    pool.select(cohort, ordinals)
    return freeze(pool, cohort, ordinals)


def freeze(pool: Pool, cohort: Cohort, ordinals: Ordinals | None = None) -> Frozen:
    """Hold some agents of a cohort, or all, with the gaps that the retired leave. None may be in the midst of a run."""
    saved = np.arange(cohort.count) if ordinals is None else ordinals
    alive = cohort.alive[saved]
    tree = pool.ancestry(cohort.student).tree(cohort.anchor[saved[alive]])
    agents = {field: getattr(cohort, field)[saved] for field in CARRIED}
    # Retired agents keep no state; the newborn page stands in for theirs.
    agents["page"][~alive] = NEWBORN
    agents["anchor"] = np.zeros(len(saved), np.int32)
    agents["anchor"][alive] = tree.anchor
    agents["ordinal"] = saved
    agents["number"] = agents["number"].astype(np.int64)
    until, rows = next(pool.event_numbers), np.sort(saved[alive]).astype(np.uint32)
    pages = pool.pages(cohort.student)
    content = Content(
        _facts(cohort, alive),
        {field: torch.from_numpy(values) for field, values in agents.items()},
        tree,
        pages.get,
        lambda: saved_lineage.encode(history(cohort.lineage, rows, until)),
    )
    held = np.concatenate([agents["page"], tree.page])
    pages.retain(held)
    return Frozen(content, pages, held)


def _facts(cohort: Cohort, alive: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> dict[str, str | int]:
    return {
        "student": cohort.student.name,
        "student_digest": cohort.student.digest,
        "seed": cohort.seed,
        "cohort": cohort.name,
        "count": len(alive),
        "alive": int(alive.sum()),
        "page_floats": cohort.student.config.page_floats,
    }
