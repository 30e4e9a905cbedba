"""The pool against a model made of a dictionary: who sees what, who holds what, and what is refused."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from plures_server.cohort import Cohort
from plures_server.errors import (
    AgentsBusy,
    AlreadyExists,
    InvalidArgument,
    PoolFull,
    UnknownAgent,
    UnknownCohort,
    UnknownStudent,
)
from plures_server.pages import NEWBORN, ColdConfig, Turnover
from plures_server.pool import Pool, PoolConfig
from plures_server.rpc.agents import cohort_message
from plures_server.students import Students
from plures_students.config import StudentConfig
from plures_students.model import Student

from .helpers import CPU, served, small_student

ONE_FLOAT = Student(StudentConfig(Discrete(1), Discrete(2), "gated_delta", 16, 1, 1, 1, 1, 1))
PAGES, AGENTS = 12, 20


def pool_of(
    model: Student = ONE_FLOAT, pages: int = PAGES, max_agents: int = AGENTS, cold: ColdConfig | None = None
) -> Pool:
    student = served(model)
    return Pool(PoolConfig(max_agents, pages * student.page_bytes, cold or ColdConfig()), Students([student]), CPU)


def steps_on(content: int) -> int:
    """What a step makes of a state, exact in float32."""
    return (content * 31 + 7) % 1_000_003


class PoolAndModel(RuleBasedStateMachine):
    """Whatever is asked for, each agent finds the state it left, and each page knows how often it is referenced."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = self.make_pool()
        self.pages = self.pool.pages(self.pool.students.get("joe"))
        self.capacity = self.pages.capacity - 1
        # (cohort, ordinal) → state
        self.states: dict[tuple[str, int], int] = {}
        # What snapshots hold: pages and the states that were in them.
        self.held: list[tuple[np.ndarray, list[int]]] = []
        self.names = iter(f"c{n}" for n in range(1000))

    def make_pool(self) -> Pool:
        return pool_of()

    def cohorts(self) -> list[str]:
        return sorted({cohort for cohort, _ in self.states})

    def some(self, data: st.DataObject) -> tuple[Cohort, np.ndarray]:
        """A cohort and some of its living agents."""
        cohort = self.pool.get(data.draw(st.sampled_from(self.cohorts())))
        alive = [ordinal for name, ordinal in self.states if name == cohort.name]
        return cohort, np.array(data.draw(st.lists(st.sampled_from(alive), min_size=1, unique=True)))

    @contextmanager
    def refused_when(self, is_full: bool) -> Iterator[None]:
        if not is_full:
            yield
            return
        with pytest.raises(PoolFull):
            yield

    @rule(count=st.integers(1, AGENTS + 1))
    def start(self, count: int) -> None:
        name = next(self.names)
        with self.refused_when(len(self.states) + count > AGENTS):
            self.pool.start(name, "joe", count, seed=0)
            self.states |= {(name, ordinal): 0 for ordinal in range(count)}

    @precondition(lambda self: self.states)
    @rule(data=st.data(), copies=st.integers(1, 4))
    def fork(self, data: st.DataObject, copies: int) -> None:
        source, chosen = self.some(data)
        name = next(self.names)
        with self.refused_when(len(self.states) + len(chosen) * copies > AGENTS):
            self.pool.fork(source.name, chosen, copies, name, seed=0)
            originals = [self.states[source.name, ordinal] for ordinal in chosen for _ in range(copies)]
            self.states |= {(name, ordinal): state for ordinal, state in enumerate(originals)}

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        cohort, chosen = self.some(data)
        sharers = self.pages.references(cohort.page[chosen]) > 1
        with self.refused_when(int(sharers.sum()) > self.pages.free):
            turnover = self.pages.turn_over(cohort.page[chosen])
            self.step_rows(turnover)
            cohort.page[chosen] = self.pages.settle(turnover)
            for ordinal in chosen:
                self.states[cohort.name, ordinal] = steps_on(self.states[cohort.name, ordinal])

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def step_in_vain(self, data: st.DataObject) -> None:
        """Some of the agents, when others then fail: everyone is as before."""
        cohort, chosen = self.some(data)
        with self.refused_when(len(chosen) > self.pages.free):
            turnover = self.pages.turn_over(cohort.page[chosen], keep=True)
            self.step_rows(turnover)
            cohort.page[chosen] = self.pages.settle(turnover, np.zeros(len(chosen), np.bool_))

    def meanwhile(self) -> None:
        """What others do while agents are stepped."""

    def step_rows(self, turnover: Turnover) -> None:
        """As many at a time as fit."""
        rows = len(turnover.read)
        assert len(set(turnover.write.tolist())) == rows
        few = self.pages.places.most_rows or rows
        for first in range(0, rows, few):
            read, write = (
                torch.from_numpy(x).long() for x in self.pages.bring(turnover, slice(first, min(first + few, rows)))
            )
            states = self.pages.data[read, 0].int().tolist()
            self.meanwhile()
            self.pages.data[write, 0] = torch.tensor([float(steps_on(state)) for state in states])

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        cohort, chosen = self.some(data)
        assert self.pool.retire(cohort.name, chosen) == len(chosen)
        for ordinal in chosen:
            del self.states[cohort.name, ordinal]

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def retire_all(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.cohorts()))
        gone = [key for key in self.states if key[0] == name]
        assert self.pool.retire(name, None) == len(gone)
        for key in gone:
            del self.states[key]

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        """As a snapshot does while it is written."""
        cohort, chosen = self.some(data)
        pages = cohort.page[chosen].copy()
        self.pages.retain(pages)
        self.held.append((pages, [self.states[cohort.name, ordinal] for ordinal in chosen]))

    @precondition(lambda self: self.held)
    @rule()
    def let_go(self) -> None:
        pages, states = self.held.pop()
        assert self.pages.get(pages)[:, 0].int().tolist() == states
        self.pages.release(pages)

    @invariant()
    def each_agent_finds_its_state(self) -> None:
        for (name, ordinal), state in self.states.items():
            assert self.pages.get(self.pool.get(name).page[[ordinal]])[0, 0] == state

    @invariant()
    def each_page_knows_its_references(self) -> None:
        references = Counter({NEWBORN: 1})
        references.update(int(self.pool.get(name).page[ordinal]) for name, ordinal in self.states)
        references.update(int(page) for pages, _ in self.held for page in pages)
        references.update(self.pool.ancestry(self.pool.students.get("joe")).pages_held().tolist())
        everyone = range(self.capacity + 1)
        assert self.pages.references(np.array(everyone)).tolist() == [references[page] for page in everyone]
        assert self.pages.used == len(references) - 1
        assert self.pages.free == self.capacity - self.pages.used

    @invariant()
    def the_pool_counts_right(self) -> None:
        usage = self.pool.usage()
        assert (usage.agents, usage.agents_free) == (len(self.states), AGENTS - len(self.states))
        assert (usage.bytes_used, usage.bytes_capacity) == (4 * self.pages.used, 4 * self.capacity)
        assert sum(tier.pages for tier in usage.tiers) == self.pages.used
        assert sum(tier.bytes_used for tier in usage.tiers) == usage.bytes_used
        assert [cohort.name for cohort in self.pool.all()] == self.cohorts()


TestPoolAndModel = PoolAndModel.TestCase
TestPoolAndModel.settings = settings(max_examples=100, stateful_step_count=40)


def test_a_million_newborns_cost_no_page() -> None:
    pool = pool_of(small_student(), pages=2, max_agents=1_000_000)
    cohort = pool.start("million", "joe", 1_000_000, seed=0)
    assert pool.usage().bytes_used == 0
    assert pool.own_bytes(cohort) == 0
    assert pool.retire("million", None) == 1_000_000
    assert pool.usage().agents == 0


def test_what_is_its_own_is_counted_apart_from_what_it_shares() -> None:
    pool = pool_of()
    joe = pool.start("joe", "joe", 3, seed=0)
    pages = pool.pages(joe.student)
    joe.page[:] = pages.acquire(3)
    assert pool.own_bytes(joe) == 12
    jane = pool.fork("joe", np.array([1]), 2, "jane", seed=0)
    assert (pool.own_bytes(joe), pool.own_bytes(jane)) == (8, 0)
    pool.retire("joe", np.array([0]))
    assert pool.own_bytes(joe) == 4


def test_a_fork_is_its_parents_copies_in_order() -> None:
    pool = pool_of()
    joe = pool.start("joe", "joe", 3, seed=5)
    joe.step[:], joe.last_action[:], joe.reward[:] = [1, 2, 3], [0, 1, 0], [0.5, 1, 2]
    jane = pool.fork("joe", np.array([2, 0]), 2, "jane", seed=9)
    assert (jane.count, jane.seed, jane.parent, jane.student) == (4, 9, "joe", joe.student)
    assert jane.step.tolist() == [3, 3, 1, 1]
    assert jane.last_action.tolist() == [0, 0, 0, 0]
    assert jane.reward.tolist() == [2, 2, 0.5, 0.5]
    jane.step += 1
    assert joe.step.tolist() == [1, 2, 3]


def test_a_retired_agent_can_do_nothing_more() -> None:
    pool = pool_of()
    pool.start("joe", "joe", 3, seed=0)
    pool.retire("joe", np.array([1]))
    with pytest.raises(UnknownAgent, match="agent 1 of cohort 'joe' was retired"):
        pool.retire("joe", np.array([0, 1]))
    with pytest.raises(UnknownAgent, match="agent 1"):
        pool.fork("joe", np.array([1]), 1, "jane", seed=0)
    assert pool.select(pool.get("joe"), None).tolist() == [0, 2]
    assert pool.retire("joe", None) == 2
    with pytest.raises(UnknownCohort, match="'joe'"):
        pool.get("joe")


def test_a_cohort_that_was_retired_meanwhile_can_still_be_told_of() -> None:
    pool = pool_of()
    joe = pool.start("joe", "joe", 3, seed=0)
    pool.retire("joe", None)
    told = cohort_message(pool, joe)
    assert (told.count, told.alive, told.min_step, told.max_step) == (3, 0, 0, 0)


def test_what_is_refused_changes_nothing() -> None:
    pool = pool_of()
    pool.start("joe", "joe", 3, seed=0).busy[2] = True
    before = pool.usage()
    for wrong, error in [
        (lambda: pool.start("joe", "joe", 1, 0), AlreadyExists),
        (lambda: pool.start("jane", "nobody", 1, 0), UnknownStudent),
        (lambda: pool.start("../joe", "joe", 1, 0), InvalidArgument),
        (lambda: pool.start("jane", "joe", 0, 0), InvalidArgument),
        (lambda: pool.start("jane", "joe", 2**32 - 1, 0), PoolFull),
        (lambda: pool.fork("jim", None, 1, "jane", 0), UnknownCohort),
        (lambda: pool.fork("joe", np.array([0]), 0, "jane", 0), InvalidArgument),
        (lambda: pool.fork("joe", np.array([0]), 2**32 - 1, "jane", 0), PoolFull),
        (lambda: pool.fork("joe", np.array([0]), 1, "joe", 0), AlreadyExists),
        (lambda: pool.fork("joe", np.array([3]), 1, "jane", 0), UnknownAgent),
        (lambda: pool.fork("joe", None, 1, "jane", 0), AgentsBusy),
        (lambda: pool.retire("joe", None), AgentsBusy),
        (lambda: pool.retire("joe", np.array([0, 2])), AgentsBusy),
        (lambda: pool.retire("joe", np.array([1, 0, 1])), InvalidArgument),
        (lambda: pool.retire("joe", np.array([], np.int64)), InvalidArgument),
        (lambda: pool.retire("joe", np.array([2**32 - 1])), UnknownAgent),
    ]:
        with pytest.raises(error):
            wrong()
        assert pool.usage() == before
        assert [cohort.name for cohort in pool.all()] == ["joe"]
        assert pool.get("joe").alive.all()


def test_a_student_whose_state_does_not_fit_is_refused_at_the_start() -> None:
    with pytest.raises(PoolFull, match=r"needs 256 bytes a state, and memory for 1 at least; its share is 0;"):
        pool_of(small_student(), pages=0)


def test_students_share_the_memory() -> None:
    students = [served(small_student(size=size), name) for size, name in ((4, "joe"), (8, "jane"))]
    pool = Pool(PoolConfig(100, 2048 * 10), Students(students), CPU)
    assert [pool.pages(student).capacity - 1 for student in students] == [40, 10]
