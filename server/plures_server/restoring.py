"""A cohort from what a snapshot holds.

N agents that are picked, P states that they need.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .ancestry import Tree
from .cohort import Cohort, Ordinals, has_repeats
from .durable.policy import Durability
from .errors import InvalidArgument, StudentMismatch, UnknownAgent
from .lineage import Event, Kind, Lineage, Parents
from .manifest import Manifest
from .pages import NEWBORN, Handles
from .pages.places import rows_of
from .pool import Pool
from .snapshot_reading import Saved
from .students import Hosted, Students


@dataclass(frozen=True)
class Chosen:
    """Agents of a snapshot by field [N], the tree of those alive, and which of the saved states they need [P]."""

    agents: dict[str, NDArray[Any]]
    tree: Tree
    lineage: Lineage
    pages: NDArray[np.int64]


def choose(saved: Saved, name: str, ordinals: Ordinals | None) -> Chosen:
    """The agents of snapshot `name` that are picked, in that order; all of them for None."""
    alive = saved.agents["alive"].numpy()
    picked = np.arange(len(alive)) if ordinals is None else _checked(name, alive, ordinals)
    agents = {field: values.numpy()[picked] for field, values in saved.agents.items()}
    alive = alive[picked]
    tree = replace(saved.tree, anchor=agents["anchor"][alive]).pruned()
    pages = np.unique(np.concatenate([agents["page"][alive], tree.page]))
    return Chosen(agents, tree, saved.lineage, pages[pages != NEWBORN])


def needed(chosen: Chosen, handles: Handles, shard: Tensor, first: int) -> tuple[Handles, Tensor]:
    """Of a file of states, whose first is the `first`-th, those that are needed, and the pages they belong in."""
    start, stop = np.searchsorted(chosen.pages, [first, first + len(shard)])
    if stop - start == len(shard):
        return handles[start:stop], shard
    return handles[start:stop], rows_of(shard, (chosen.pages[start:stop] - first).astype(np.int32))


def admit(
    pool: Pool,
    name: str,
    snapshot: str | None,
    manifest: Manifest,
    chosen: Chosen,
    handles: Handles,
    durability: Durability | None = None,
) -> Cohort:
    """Start the cohort, whose states are in `handles`, in the order of `chosen.pages`.

    Without the name of a snapshot, it is the cohort that was saved that goes on.
    """
    pool.journals.check(durability)
    agents, student = chosen.agents, pool.students.get(manifest.student)
    alive, page = agents["alive"], np.where(agents["alive"], agents["page"], NEWBORN)
    cohort = Cohort(
        name,
        student,
        manifest.seed,
        number=agents["number"].astype(np.uint32),
        page=_handles_of(page, chosen, handles),
        anchor=np.zeros(len(page), np.int32),
        step=agents["step"],
        last_action=agents["last_action"],
        reward=agents["reward"],
        alive=alive,
        lineage=chosen.lineage if snapshot is None else _restored(pool, name, snapshot, chosen),
        parent=manifest.cohort,
    )
    pool.admit(cohort, durability)
    pool.pages(student).retain(cohort.page[alive])
    tree = replace(chosen.tree, page=_handles_of(chosen.tree.page, chosen, handles))
    cohort.anchor[alive] = pool.ancestry(student).graft(tree)
    return cohort


def student_for(manifest: Manifest, students: Students) -> Hosted:
    """The student whose copies a snapshot holds; raise StudentMismatch when another is loaded under its name."""
    student = students.get(manifest.student)
    if student.digest != manifest.student_digest or student.config.page_floats != manifest.page_floats:
        raise StudentMismatch(
            f"the snapshot's agents are copies of {student.name!r} with the weights "
            f"{manifest.student_digest[:12]}…, but loaded is {student.digest[:12]}…; load that student"
        )
    return student


def _restored(pool: Pool, name: str, snapshot: str, chosen: Chosen) -> Lineage:
    restored = Event(
        next(pool.event_numbers),
        Kind.RESTORE,
        chosen.agents["step"],
        parents=(Parents(chosen.lineage),),
        parent_ordinals=chosen.agents["ordinal"].astype(np.uint32),
        snapshot=snapshot,
    )
    return Lineage(name, chosen.lineage.student, [restored])


def _checked(name: str, alive: NDArray[np.bool_], ordinals: Ordinals) -> Ordinals:
    if len(ordinals) == 0:
        raise InvalidArgument(f"no agents of snapshot {name!r} are selected")
    if (outside := ordinals >= len(alive)).any():
        raise UnknownAgent(f"snapshot {name!r} has ordinals 0 to {len(alive) - 1}, not {ordinals[outside][0]}")
    if not (living := alive[ordinals]).all():
        raise UnknownAgent(f"agent {ordinals[~living][0]} of snapshot {name!r} was retired when it was written")
    if has_repeats(ordinals, len(alive)):
        raise InvalidArgument(f"an agent of snapshot {name!r} is selected more than once; fork it when it is restored")
    return ordinals


def _handles_of(page: NDArray[np.integer], chosen: Chosen, handles: Handles) -> Handles:
    """Where the saved states are now."""
    table = np.concatenate([[NEWBORN], handles]).astype(np.int32)
    found: Handles = table[np.where(page == NEWBORN, 0, np.searchsorted(chosen.pages, page) + 1)]
    return found
