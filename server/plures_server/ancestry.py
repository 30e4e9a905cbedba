"""The states in which agents' lives parted, kept for as long as lives that parted there can be merged.

Each agent stands at an anchor: the node of the `Forest` where its life last parted from another's. A node holds one
reference to the page that the agent had there, which is no page more until the agent steps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import NoCommonAncestor
from .forest import Forest, Nodes
from .pages import NEWBORN, Handles, Pages


@dataclass(frozen=True)
class Tree:
    """Anchors of some agents [B], as numbers among the nodes where their lives parted, the root first [M].

    parent: the number of the node above, which is lower; the root's is its own. page: the state there.
    """

    anchor: Nodes
    parent: Nodes
    page: Handles

    def pruned(self) -> "Tree":
        """The same without nodes at which no two of the agents part, but for the root."""
        forest = Forest()
        nodes, anchor = forest.plant(self.parent), self.anchor
        forest.join(anchor)
        forest.prune(nodes)
        forest.shorten(forest.path(anchor))
        anchor = np.where(forest.is_thin(anchor), forest.parent[anchor], anchor)
        kept = forest.path(anchor)
        return Tree(_places(anchor, kept), _places(forest.parent[kept], kept), self.page[kept])

    def pick(self, agents: NDArray[np.int64]) -> "Tree":
        """The tree of some of the agents."""
        return Tree(self.anchor[agents], self.parent, self.page).pruned()


class Ancestry:
    """Anchors of the agents of one student, and the pages that go with them."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._forest = Forest()
        self._page = np.empty(0, np.int32)
        self._holds = np.empty(0, np.bool_)
        self.newborn = self._forest.add_root()
        # One branch for those that are yet to be born.
        self._forest.join(np.array([self.newborn]))
        self._hold(np.array([self.newborn]), np.array([NEWBORN], np.int32))

    @property
    def held(self) -> int:
        """References to pages that are held, but for the newborn's."""
        return int((self.pages_held() != NEWBORN).sum())

    def pages_held(self) -> Handles:
        """An entry for each reference that is held."""
        return self._page[self._holds]

    def bear(self, count: int) -> Nodes:
        """Anchors of newborns."""
        self._forest.join(np.array([self.newborn]), count)
        return np.full(count, self.newborn, np.int32)

    def part(self, anchor: Nodes, page: Handles, copies: int) -> Nodes:
        """Lives part: the anchor that agents with these anchors and pages have now, in common with their copies."""
        anchor = anchor.copy()
        # Where nothing was learned since lives last parted, the state is there already.
        moved = (self._page[anchor] != page) | ~self._holds[anchor]
        np.add.at(self._forest.branches, anchor[~moved], np.int32(copies))
        if moved.any():
            anchor[moved] = self._forest.add(anchor[moved], copies + 1)
            self._hold(anchor[moved], page[moved])
        return anchor

    def join(self, node: int, page: int, copies: int) -> Nodes:
        """Anchors of copies, with this page in common, of an agent that comes from the state at a node."""
        self._forest.join(np.array([node]))
        if copies == 1:
            return np.array([node], np.int32)
        nodes = self._forest.add(np.array([node], np.int32), copies)
        self._hold(nodes, np.array([page], np.int32))
        return np.repeat(nodes, copies)

    def leave(self, anchor: Nodes) -> None:
        """Agents with these anchors are no more."""
        self._let_go(self._forest.leave(anchor))

    def common(self, anchor: Nodes) -> int:
        """Where the lives of at least two agents parted; raise NoCommonAncestor when that is not known."""
        node = self._forest.nearest_common(anchor)
        if node is None:
            raise NoCommonAncestor(
                "it is not known where the agents' lives parted: they were restored apart; save them in one snapshot, "
                "or merge them as what each has learned since it was newborn (ANCESTOR_NEWBORN)"
            )
        return node

    def root(self, anchor: Nodes) -> int:
        """The newborn that an agent comes from; when several agents have different ones, the server's own."""
        roots = {self._forest.root(int(node)) for node in np.unique(anchor)}
        return roots.pop() if len(roots) == 1 else self.newborn

    def page(self, node: int) -> int:
        """The state at a node that `common` or `root` gave."""
        return int(self._page[node])

    def tree(self, anchor: Nodes) -> Tree:
        """What tells agents of one cohort apart. The pages are held by this for as long as none of the agents goes."""
        nodes = self._forest.path(anchor)
        parent = _places(self._forest.parent[nodes], nodes)
        return Tree(_places(anchor, nodes), parent, self._page[nodes]).pruned()

    def graft(self, tree: Tree) -> Nodes:
        """Anchors of agents that come from elsewhere: they have no ancestors in common with others than their own."""
        nodes = self._forest.plant(tree.parent)
        self._hold(nodes, tree.page)
        anchor = nodes[tree.anchor]
        self._forest.join(anchor)
        return anchor

    def _hold(self, nodes: Nodes, page: Handles) -> None:
        missing = len(self._forest.parent) - len(self._page)
        self._page = np.concatenate([self._page, np.zeros(missing, np.int32)])
        self._holds = np.concatenate([self._holds, np.zeros(missing, np.bool_)])
        self._page[nodes] = page
        self._holds[nodes] = True
        self._pages.retain(page)

    def _let_go(self, nodes: Nodes) -> None:
        nodes = nodes[self._holds[nodes]]
        self._holds[nodes] = False
        self._pages.release(self._page[nodes])


def _places(values: Nodes, among: Nodes) -> Nodes:
    """Where each value stands."""
    order = np.argsort(among)
    places: Nodes = order[np.searchsorted(among, values, sorter=order)].astype(np.int32)
    return places
