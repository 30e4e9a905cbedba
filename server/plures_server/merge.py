"""Merging: one agent that knows what several have learned since their lives parted.

S = S₀ + Σ wᵢ (Sᵢ − S₀), with S₀ the state of the nearest common ancestor; computed in float64 as
(1 − Σw) S₀ + Σ wᵢ Sᵢ, members sorted by cohort and ordinal, so that the order in which they are named makes no
difference. B members.
"""

import math
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from plures_students.model import NO_ACTION
from torch import Tensor

from .ancestry import Ancestry
from .cohort import Cohort, Ordinals
from .durable.policy import Durability
from .errors import InvalidArgument, StudentMismatch
from .forest import Nodes
from .lineage import Event, Kind, Lineage, Parents
from .pages import Handles, Pages
from .pool import Pool
from .students import Hosted

Weights = NDArray[np.float64]
PART_BYTES = 8 << 20
"""States that are added up before others have a turn."""


@dataclass(frozen=True)
class Members:
    """Agents of one cohort, and by how much what each has learned counts [members]; None: all members alike."""

    cohort: str
    ordinals: Ordinals | None
    weights: Weights | None = None


@dataclass(frozen=True)
class MergeRequest:
    """Whom to merge, and what to make of it. `from_newborn`: S₀ is the newborn, whether or not a nearer is known."""

    members: tuple[Members, ...]
    name: str
    copies: int = 1
    seed: int = 0
    from_newborn: bool = False
    durability: Durability | None = None


@dataclass(frozen=True)
class _Gathered:
    """The members in order: cohorts by name, and the agents of each by ordinal. weights: [B] over all of them."""

    agents: list[tuple[Cohort, Ordinals]]
    weights: Weights

    @property
    def student(self) -> Hosted:
        return self.agents[0][0].student

    @property
    def is_copy(self) -> bool:
        return len(self.weights) == 1 and self.weights[0] == 1

    def all(self, field: str) -> NDArray[Any]:
        """A field of every member [B]."""
        return np.concatenate([getattr(cohort, field)[ordinals] for cohort, ordinals in self.agents])

    def parents(self) -> tuple[Parents, ...]:
        ends = np.cumsum([len(ordinals) for _, ordinals in self.agents])[:-1]
        parts = zip(self.agents, np.split(self.weights, ends), strict=True)
        return tuple(Parents(cohort.lineage, ordinals.astype(np.uint32), part) for (cohort, ordinals), part in parts)


def merge(pool: Pool, request: MergeRequest) -> Generator[None, None, Cohort]:
    """Start a cohort of copies of the merged agent; what is refused changes nothing.

    It has as many steps behind it as the member with most, and of last actions, and rewards for them, it has what all
    members agree on. Raises StudentMismatch for agents of different students, NoCommonAncestor.
    """
    if request.copies < 1:
        raise InvalidArgument(f"copies must be at least 1, not {request.copies}")
    pool.journals.check(request.durability)
    members = _gathered(pool, request)
    pool.check_room(request.name, request.copies, members.student)
    pages, ancestry = pool.pages(members.student), pool.ancestry(members.student)
    node = _ancestor(ancestry, members.all("anchor"), request.from_newborn)
    read, origin, merged = members.all("page"), ancestry.page(node), _result_page(pages, members)
    held = np.concatenate([read, [origin], merged]).astype(np.int32)
    pages.retain(held[:-1])
    cohort = _described(pool, request, members, merged, ancestry.join(node, int(merged[0]), request.copies))
    try:
        if not members.is_copy:
            pages.put(merged, (yield from _sum(pages, read, members.weights, origin)))
        pool.admit(cohort, request.durability)
        pages.retain(cohort.page)
    except BaseException:
        ancestry.leave(cohort.anchor)
        raise
    finally:
        pages.release(held)
    return cohort


def _gathered(pool: Pool, request: MergeRequest) -> _Gathered:
    named: defaultdict[str, list[Members]] = defaultdict(list)
    for members in request.members:
        named[members.cohort].append(members)
    if not named:
        raise InvalidArgument("no agents are named; a merge has at least 1 member")
    parts = [_in_order(pool, pool.get(name), named[name]) for name in sorted(named)]
    students = {cohort.student.name: cohort.name for cohort, _, _ in parts}
    if len(students) > 1:
        strangers = " and ".join(f"{cohort!r} of student {student!r}" for student, cohort in students.items())
        raise StudentMismatch(f"cohorts {strangers} are strangers; merge agents of one student")
    weights = _checked([(len(ordinals), weights) for _, ordinals, weights in parts])
    return _Gathered([(cohort, ordinals) for cohort, ordinals, _ in parts], weights)


def _in_order(pool: Pool, cohort: Cohort, named: list[Members]) -> tuple[Cohort, Ordinals, Weights | None]:
    """The agents of one cohort, by ordinal, with their weights; None when none of them has any."""
    ordinals = pool.select(cohort, np.concatenate([pool.select(cohort, each.ordinals) for each in named]))
    order = np.argsort(ordinals)
    given = [each.weights for each in named if each.weights is not None]
    if not given:
        return cohort, ordinals[order], None
    weights = np.concatenate(given)
    if len(given) < len(named) or len(weights) != len(ordinals):
        raise InvalidArgument(
            f"{len(weights)} weights for {len(ordinals)} agents of cohort {cohort.name!r}; give one an agent"
        )
    return cohort, ordinals[order], weights[order]


def _checked(parts: list[tuple[int, Weights | None]]) -> Weights:
    given = [weights for _, weights in parts if weights is not None]
    count = sum(agents for agents, _ in parts)
    if not given:
        return np.full(count, 1 / count)
    weights = np.concatenate(given)
    if len(weights) != count:
        raise InvalidArgument(f"{len(weights)} weights for {count} agents; give all a weight, or none")
    if not (finite := np.isfinite(weights)).all():
        raise InvalidArgument(f"weight {weights[~finite][0]} is not finite")
    return weights


def _ancestor(ancestry: Ancestry, anchor: Nodes, from_newborn: bool) -> int:
    # One agent alone has nothing to be told apart from.
    return ancestry.root(anchor) if from_newborn or len(anchor) == 1 else ancestry.common(anchor)


def _result_page(pages: Pages, members: _Gathered) -> Handles:
    """A page for the result, with a reference: of one agent that counts by 1 it is its own, to the last bit."""
    if not members.is_copy:
        return pages.acquire(1)
    pages.retain(members.all("page"))
    return members.all("page")


def _sum(pages: Pages, read: Handles, weights: Weights, origin: int) -> Generator[None, None, Tensor]:
    """The merged state [1, page_floats]."""
    rest = 1 - math.fsum(weights)
    total = rest * pages.get(np.array([origin], np.int32)).double()
    rows = max(1, PART_BYTES // pages.page_bytes)
    for first in range(0, len(read), rows):
        part = slice(first, first + rows)
        total += torch.from_numpy(weights[part]) @ pages.get(read[part]).double()
        yield
    merged = total.float()
    if not bool(merged.isfinite().all()):
        raise InvalidArgument(f"with weights up to {np.abs(weights).max():g} the merged state is not finite")
    return merged


def _described(pool: Pool, request: MergeRequest, members: _Gathered, page: Handles, anchor: Nodes) -> Cohort:
    copies, step = request.copies, members.all("step").max()
    event = Event(next(pool.event_numbers), Kind.MERGE, np.array([step]), copies=copies, parents=members.parents())
    sources = [cohort.name for cohort, _ in members.agents]
    return Cohort(
        request.name,
        members.student,
        request.seed,
        number=np.arange(copies, dtype=np.uint32),
        page=np.repeat(page, copies),
        anchor=anchor,
        step=np.full(copies, step),
        last_action=np.full(copies, _agreed(members.all("last_action"), NO_ACTION), np.int32),
        reward=np.full(copies, _agreed(members.all("reward"), 0), np.float32),
        alive=np.ones(copies, np.bool_),
        lineage=Lineage(request.name, members.student.name, [event]),
        parent=sources[0] if len(sources) == 1 else "",
    )


def _agreed(values: NDArray[Any], otherwise: float) -> float:
    return values[0] if (values == values[0]).all() else otherwise
