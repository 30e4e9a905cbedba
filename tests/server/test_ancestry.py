"""Where lives parted, against a model that forgets nothing."""

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from plures_server.ancestry import Ancestry, Tree
from plures_server.errors import NoCommonAncestor
from plures_server.pages import NEWBORN, AllHot, Pages

CPU = torch.device("cpu")
Path = tuple[tuple[int, int], ...]


class AncestryAndModel(RuleBasedStateMachine):
    """Each agent of the model knows the whole way from its newborn: (number of the point, state there)."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = Pages(AllHot(4000, 1, CPU))
        self.ancestry = Ancestry(self.pages)
        # By name: anchor, page, and the way.
        self.agents: dict[int, tuple[int, int, Path]] = {}
        self.names = iter(range(10_000))
        self.points = iter(range(1, 10_000))

    def add(self, anchor: int, page: int, path: Path) -> None:
        self.agents[next(self.names)] = (anchor, page, path)

    def some(self, data: st.DataObject, least: int = 1) -> list[int]:
        return data.draw(st.lists(st.sampled_from(sorted(self.agents)), min_size=least, max_size=6, unique=True))

    @rule(count=st.integers(1, 3))
    def bear(self, count: int) -> None:
        for anchor in self.ancestry.bear(count):
            self.pages.retain(np.array([NEWBORN], np.int32))
            self.add(int(anchor), NEWBORN, ((0, 0),))

    @precondition(lambda self: self.agents)
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        for name in self.some(data):
            anchor, page, path = self.agents[name]
            [fresh] = self.pages.acquire(1)
            self.pages.release(np.array([page], np.int32))
            self.agents[name] = (anchor, int(fresh), path)

    @precondition(lambda self: self.agents)
    @rule(data=st.data(), copies=st.integers(1, 3))
    def fork(self, data: st.DataObject, copies: int) -> None:
        chosen = self.some(data)
        anchors, pages, paths = zip(*(self.agents[name] for name in chosen), strict=True)
        parted = self.ancestry.part(np.array(anchors, np.int32), np.array(pages, np.int32), copies)
        for name, anchor, page, path in zip(chosen, parted, pages, paths, strict=True):
            path = (*path, (next(self.points), page))
            self.agents[name] = (int(anchor), page, path)
            for _ in range(copies):
                self.pages.retain(np.array([page], np.int32))
                self.add(int(anchor), page, path)

    @precondition(lambda self: self.agents)
    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        gone = [self.agents.pop(name) for name in self.some(data)]
        self.ancestry.leave(np.array([anchor for anchor, _, _ in gone], np.int32))
        self.pages.release(np.array([page for _, page, _ in gone], np.int32))

    @precondition(lambda self: len(self.agents) > 1)
    @rule(data=st.data(), copies=st.integers(1, 2))
    def merge(self, data: st.DataObject, copies: int) -> None:
        chosen = self.some(data, least=2)
        paths = [self.agents[name][2] for name in chosen]
        common = self.nearest(paths)
        node = self.ancestry.common(self.anchors(chosen))
        [page] = self.pages.acquire(1)
        path = paths[0][: paths[0].index(common) + 1]
        if copies > 1:
            path = (*path, (next(self.points), int(page)))
        for anchor in self.ancestry.join(node, int(page), copies):
            self.pages.retain(np.array([page], np.int32))
            self.add(int(anchor), int(page), path)
        self.pages.release(np.array([page], np.int32))

    @precondition(lambda self: len(self.agents) > 1)
    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        chosen = self.some(data, least=2)
        node = self.ancestry.common(self.anchors(chosen))
        assert self.ancestry.page(node) == self.nearest([self.agents[name][2] for name in chosen])[1]

    @precondition(lambda self: len(self.agents) > 1)
    @rule(data=st.data())
    def ask_the_tree(self, data: st.DataObject) -> None:
        """What a snapshot would keep tells the same agents apart in the same states."""
        chosen = self.some(data, least=2)
        tree = self.ancestry.tree(self.anchors(chosen))
        other = Ancestry(self.pages)
        anchor = other.graft(tree)
        for first in range(len(chosen) - 1):
            pair = [self.agents[name][2] for name in chosen[first : first + 2]]
            assert other.page(other.common(anchor[first : first + 2])) == self.nearest(pair)[1]
        assert len(tree.parent) <= len(chosen), "a node for each parting, and the root"
        other.leave(anchor)
        assert other.held == 0
        # Its own newborn's.
        self.pages.release(other.pages_held())

    def anchors(self, chosen: list[int]) -> np.ndarray:
        return np.array([self.agents[name][0] for name in chosen], np.int32)

    def nearest(self, paths: list[Path]) -> tuple[int, int]:
        return [each[0] for each in zip(*paths, strict=False) if len(set(each)) == 1][-1]

    @invariant()
    def fewer_states_are_kept_than_there_are_agents(self) -> None:
        assert self.ancestry.held <= max(len(self.agents) - 1, 0)

    @invariant()
    def each_page_knows_its_references(self) -> None:
        references = np.zeros(self.pages.capacity, np.int64)
        references[NEWBORN] = 1
        np.add.at(references, [page for _, page, _ in self.agents.values()], 1)
        np.add.at(references, self.ancestry.pages_held(), 1)
        assert np.array_equal(self.pages.references(np.arange(self.pages.capacity)), references)


TestAncestryAndModel = AncestryAndModel.TestCase
TestAncestryAndModel.settings = settings(max_examples=150, stateful_step_count=50)


def test_generations_of_forks_whose_parents_are_retired_keep_one_state_a_parting() -> None:
    pages = Pages(AllHot(100, 1, CPU))
    ancestry = Ancestry(pages)
    anchor = ancestry.bear(1)
    for generation in range(1000):
        parted = ancestry.part(anchor, pages.acquire(1), copies=2)
        anchor = parted
        ancestry.leave(np.repeat(parted, 2))
        assert ancestry.held == 0, f"generation {generation}"
        pages.release(np.flatnonzero(pages.references(np.arange(100, dtype=np.int32)) == 1)[1:].astype(np.int32))
    assert len(ancestry._forest.parent) < 100


def test_agents_that_come_from_elsewhere_have_no_ancestor_in_common() -> None:
    pages = Pages(AllHot(10, 1, CPU))
    ancestry = Ancestry(pages)
    tree = Tree(np.array([0, 0], np.int32), np.array([0], np.int32), np.array([NEWBORN], np.int32))
    here, there = ancestry.graft(tree), ancestry.graft(tree)
    assert ancestry.page(ancestry.common(here)) == NEWBORN
    for strangers in (np.concatenate([here, there]), np.concatenate([here, ancestry.bear(1)])):
        with pytest.raises(NoCommonAncestor, match="restored apart"):
            ancestry.common(strangers)
        with pytest.raises(NoCommonAncestor):
            ancestry.common(strangers[::-1])
