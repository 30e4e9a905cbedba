"""The pool: every cohort by name, and the pages their agents' states live in. Owned by the engine's thread."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count as count_from

import numpy as np
import torch

from .access.shares import Shares
from .ancestry import Ancestry
from .cohort import Cohort, Ordinals
from .durable.journals import Journals
from .durable.policy import Durability
from .errors import AlreadyExists, InvalidArgument, PoolFull, StudentInUse, UnknownCohort
from .horizon import HorizonPolicy
from .lineage import Event, Kind, Lineage, Parents, Rows
from .memory import Memory
from .names import check_id
from .pages import ColdConfig, MakePages, Pages, TierUsage, make_pages
from .students import Hosted, Students


@dataclass(frozen=True)
class PoolConfig:
    """Limits: agents alive over all cohorts; bytes of state over all students, on the device and in colder tiers."""

    max_agents: int = 1 << 20
    memory_bytes: int = 8 << 30
    cold: ColdConfig = field(default_factory=ColdConfig)


@dataclass(frozen=True)
class PoolUsage:
    """Agents alive and startable; bytes of state in use and at most, and those that lie in each tier, hottest first.

    What is in use and lies in no tier was promised to agents that are about to step.
    """

    agents: int
    agents_free: int
    bytes_used: int
    bytes_capacity: int
    tiers: list[TierUsage]


@dataclass
class Steps:
    """What agents have done since the server began. Other threads may look."""

    agent_steps: int = 0
    waves: int = 0

    def count(self, agents: int) -> None:
        """One wave, or one tick of a run, of so many agents."""
        self.agent_steps += agents
        self.waves += 1


class Pool:
    """Starts, forks and retires agents. Everything it refuses leaves it as it was."""

    def __init__(
        self,
        config: PoolConfig,
        students: Students,
        device: torch.device,
        journals: Journals | None = None,
        make_pages: MakePages = make_pages,
    ) -> None:
        self.config = config
        self.journals = journals or Journals()
        self.device = device
        self.students = students
        self._cohorts: dict[str, Cohort] = {}
        self._agents = 0
        self.steps = Steps()
        self.shares = Shares()
        # Beyond a page for every agent, one for where its life parted, and one while a wave turns over, there is
        # nothing to hold.
        most = 3 * config.max_agents
        self._memory = Memory(students.all(), device, config.memory_bytes, config.cold, most, make_pages)
        self._ancestry = {student.name: Ancestry(self.pages(student)) for student in students.all()}
        self.event_numbers: Iterator[int] = count_from(1)

    def pages(self, student: Hosted) -> Pages:
        return self._memory.of(student)

    def ancestry(self, student: Hosted) -> Ancestry:
        return self._ancestry[student.name]

    def get(self, name: str) -> Cohort:
        try:
            return self._cohorts[name]
        except KeyError:
            raise UnknownCohort(f"no cohort {name!r} is alive; start it, or list the cohorts") from None

    def find(self, name: str) -> Cohort | None:
        """The cohort of that name. Other threads may look; by the next moment it may be gone."""
        return self._cohorts.get(name)

    def has(self, cohort: Cohort) -> bool:
        """Whether the cohort is alive, and not another of its name."""
        return self._cohorts.get(cohort.name) is cohort

    def all(self) -> list[Cohort]:
        return [self._cohorts[name] for name in sorted(self._cohorts)]

    def start(
        self,
        name: str,
        student: str,
        count: int,
        seed: int,
        durability: Durability | None = None,
        horizon_policy: HorizonPolicy | None = None,
    ) -> Cohort:
        """Newborn agents of the newest version of a student; they own no page before they step."""
        served = self.students.newest(student)
        self.check_room(name, count, served)
        self.journals.check(durability)
        birth = Event(next(self.event_numbers), Kind.BIRTH, step=np.zeros(1, np.int64), copies=count)
        lineage = Lineage(name, served.name, [birth])
        cohort = Cohort.newborn(name, served, count, seed, self.ancestry(served).bear(count), lineage)
        cohort.horizon_policy = horizon_policy or HorizonPolicy.WARN
        self.pages(served).retain(cohort.page)
        return self.admit(cohort, durability)

    def fork(
        self,
        source: str,
        ordinals: Ordinals | None,
        copies: int,
        name: str,
        seed: int,
        durability: Durability | None = None,
        horizon_policy: HorizonPolicy | None = None,
    ) -> Cohort:
        """Copies of agents as they are; until one of them steps, copy and original share a page.

        The state in which they part is kept for as long as two of them, or of their descendants, can be merged. None as
        durability or policy stands for that of the source.
        """
        self.journals.check(durability)
        cohort = self.get(source)
        if copies < 1:
            raise InvalidArgument(f"copies must be at least 1, not {copies}")
        chosen = self.select(cohort, ordinals)
        self.check_room(name, len(chosen) * copies, cohort.student)
        cohort.anchor[chosen] = self.ancestry(cohort.student).part(cohort.anchor[chosen], cohort.page[chosen], copies)
        forked = cohort.fork(chosen, copies, name, seed)
        forked.horizon_policy = horizon_policy or cohort.horizon_policy
        forked.lineage = self._forked(cohort, chosen, copies, name)
        self.pages(cohort.student).retain(forked.page)
        self.admit(forked)
        self.journals.forked(cohort, ordinals, copies, forked, durability)
        return forked

    def admit(self, cohort: Cohort, durability: Durability | None = None) -> Cohort:
        """Take in a cohort whose pages are retained already."""
        alive = int(cohort.alive.sum())
        self.check_room(cohort.name, alive, cohort.student)
        self._cohorts[cohort.name] = cohort
        self._count(cohort, alive)
        if durability is not None:
            self.journals.open(cohort, durability)
        return cohort

    def exchange(self, cohorts: dict[str, Cohort]) -> dict[str, Cohort]:
        """Know these cohorts by name instead of those there are, which are returned: names that recoveries use."""
        before, self._cohorts = self._cohorts, cohorts
        return before

    def retire(self, name: str, ordinals: Ordinals | None) -> int:
        """End agents, free their states, and say how many were ended; a cohort without agents is gone."""
        cohort = self.get(name)
        chosen = self.select(cohort, ordinals)
        cohort.alive[chosen] = False
        self.pages(cohort.student).release(cohort.page[chosen])
        self.ancestry(cohort.student).leave(cohort.anchor[chosen])
        self._count(cohort, -len(chosen))
        if not cohort.alive.any():
            del self._cohorts[name]
        self.journals.retired(cohort, ordinals)
        return len(chosen)

    def select(self, cohort: Cohort, ordinals: Ordinals | None) -> Ordinals:
        """The ordinals after `Cohort.check`; None selects all that are alive. Raises LogUnavailable, too."""
        if cohort.journal is not None:
            cohort.journal.check_open()
        return cohort.check(np.flatnonzero(cohort.alive) if ordinals is None else ordinals)

    def lineage(self, name: str, ordinals: Ordinals | None) -> tuple[Lineage, Rows, int]:
        """What `history` takes, of agents as they are now, busy or not."""
        cohort = self.get(name)
        chosen = np.flatnonzero(cohort.alive) if ordinals is None else cohort.check_alive(ordinals)
        return cohort.lineage, np.sort(chosen).astype(np.uint32), next(self.event_numbers)

    def own_bytes(self, cohort: Cohort) -> int:
        """Bytes of states that no other agent shares, nor needs as that of a common ancestor."""
        pages = self.pages(cohort.student)
        owned = pages.references(cohort.page[cohort.alive]) == 1
        return int(owned.sum()) * pages.page_bytes

    def usage(self, tenant: str = "") -> PoolUsage:
        """Of all, or of what a tenant has, as its quota counts it."""
        if tenant:
            return self._usage_of(tenant)
        pages = self._memory.all()
        return PoolUsage(
            agents=self._agents,
            agents_free=self.config.max_agents - self._agents,
            bytes_used=sum(p.used * p.page_bytes for p in pages),
            bytes_capacity=sum((p.capacity - 1) * p.page_bytes for p in pages),
            tiers=_summed([tier for p in pages for tier in p.usage()]),
        )

    def _usage_of(self, tenant: str) -> PoolUsage:
        share, quota = self.shares.of(tenant), self.shares.quota(tenant)
        most_agents = self.config.max_agents if quota.agents is None else quota.agents
        most_bytes = self.config.memory_bytes if quota.state_bytes is None else quota.state_bytes
        return PoolUsage(share.agents, max(0, most_agents - share.agents), share.state_bytes, most_bytes, [])

    def take_in(self, student: Hosted) -> Pages:
        """Make room for the agents of one more student."""
        made = self._memory.take_in(student)
        self._ancestry[student.name] = Ancestry(made)
        return made

    def forget(self, student: Hosted) -> None:
        """Give up a student's memory; raise StudentInUse while there are agents of it."""
        alive = [cohort.name for cohort in self.all() if cohort.student is student]
        if alive or self.pages(student).used:
            of = f"cohorts {', '.join(alive[:3])}{', …' * (len(alive) > 3)} are" if alive else "a cohort is about to be"
            raise StudentInUse(f"{of} alive of student {student.name!r}; retire them first")
        self._memory.forget(student)
        del self._ancestry[student.name]

    def close(self) -> None:
        """Give up what states are kept in."""
        for pages in self._memory.all():
            pages.places.close()

    def check_room(self, name: str, count: int, student: Hosted) -> None:
        """Raise unless a cohort of that name and so many agents of a student can be taken in."""
        check_id(name, "cohort")
        if name in self._cohorts:
            raise AlreadyExists(f"cohort {name!r} is alive already; take another name or retire it")
        if count < 1:
            raise InvalidArgument(f"a cohort has at least 1 agent, not {count}")
        if count > self.config.max_agents - self._agents:
            raise PoolFull(
                f"{count:,} agents are too many: {self._agents:,} of at most {self.config.max_agents:,} are alive; "
                "retire some or start the server with more --max-agents"
            )
        self.shares.check(name, count, student.page_bytes)

    def _count(self, cohort: Cohort, agents: int) -> None:
        self._agents += agents
        self.shares.add(cohort.name, agents, cohort.student.page_bytes)

    def _forked(self, cohort: Cohort, ordinals: Ordinals, copies: int, name: str) -> Lineage:
        fork = Event(
            next(self.event_numbers),
            Kind.FORK,
            step=cohort.step[ordinals],
            copies=copies,
            parents=(Parents(cohort.lineage),),
            parent_ordinals=ordinals.astype(np.uint32),
        )
        return Lineage(name, cohort.student.name, [fork])


def _summed(tiers: list[TierUsage]) -> list[TierUsage]:
    """All students' tiers of one name as one."""
    by_name: defaultdict[str, list[TierUsage]] = defaultdict(list)
    for tier in tiers:
        by_name[tier.name].append(tier)
    return [sum(same[1:], same[0]) for same in by_name.values()]
