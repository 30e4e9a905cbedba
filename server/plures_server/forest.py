"""Trees of the points where lives parted, pruned to those that still tell two lives apart.

A node has a branch for each agent whose life last parted there, and one for each node below it. Below a root, a node
without branches is gone, and one with a single branch is thin: it can be nobody's nearest common ancestor any more,
and stays only until it can be cut out of the path. So for n agents there are fewer than n nodes that matter.
"""

import numpy as np
from numpy.typing import NDArray

Nodes = NDArray[np.int32]


class Forest:
    """Nodes by number. `leave` says which of them have ceased to matter."""

    def __init__(self) -> None:
        self.parent = np.empty(0, np.int32)
        self.branches = np.empty(0, np.int32)
        # Grows from a node to those below it.
        self._age = np.empty(0, np.int64)
        self._free: list[Nodes] = []
        self._born = 0

    def add_root(self) -> int:
        """A node above which nothing is known; it is gone when all its branches are."""
        root = self._take(1)
        self.parent[root] = root
        self.branches[root] = 0
        return int(root[0])

    def add(self, above: Nodes, branches: NDArray[np.int32] | int) -> Nodes:
        """A node below each of these, with so many branches; each takes the place of one branch that was there."""
        nodes = self._take(len(above))
        self.parent[nodes] = above
        self.branches[nodes] = branches
        self.shorten(nodes)
        return nodes

    def join(self, nodes: Nodes, branches: int = 1) -> None:
        """So many branches more for each entry."""
        np.add.at(self.branches, nodes, np.int32(branches))

    def leave(self, nodes: Nodes) -> Nodes:
        """A branch less for each entry; the nodes that no longer matter, some of which may not have before."""
        np.subtract.at(self.branches, nodes, np.int32(1))
        return self.prune(np.unique(nodes))

    def prune(self, touched: Nodes) -> Nodes:
        """Remove what does not matter among these and above; the nodes that no longer do, as for `leave`."""
        seen, gone = [touched], [np.empty(0, np.int32)]
        while len(touched):
            gone.append(touched[self.branches[touched] == 0])
            above = self.parent[gone[-1]]
            above = above[above != gone[-1]]
            np.subtract.at(self.branches, above, np.int32(1))
            seen.append(touched := np.unique(above))
        nodes = np.unique(np.concatenate(seen))
        thin = nodes[self.is_thin(nodes)]
        self._give_back(np.concatenate(gone))
        self.shorten(thin)
        return np.concatenate([*gone, thin])

    def plant(self, parent: Nodes) -> Nodes:
        """Trees given by the parent of each node, as a number among them; those above stand before those below.

        They have the branches that the nodes below give them; agents that stand there are yet to join.
        """
        nodes = self._take(len(parent))
        self.parent[nodes] = nodes[parent]
        below = parent[parent != np.arange(len(parent))]
        self.branches[nodes] = np.bincount(below, minlength=len(parent))
        return nodes

    def shorten(self, nodes: Nodes) -> None:
        """Cut the thin nodes above these out of the path."""
        while len(nodes):
            above = self.parent[nodes]
            thin = self.is_thin(above)
            # One that is itself being cut out waits for its turn no more.
            cutting = thin & ~np.isin(nodes, above[thin])
            cut = above[cutting]
            self.parent[nodes[cutting]] = self.parent[cut]
            self._give_back(cut)
            nodes = nodes[thin & ~np.isin(nodes, cut)]

    def is_thin(self, nodes: Nodes) -> NDArray[np.bool_]:
        """Which of them have a single branch, and are no roots."""
        thin: NDArray[np.bool_] = (self.branches[nodes] == 1) & ~self.is_root(nodes)
        return thin

    def is_root(self, nodes: Nodes) -> NDArray[np.bool_]:
        """Which of them have nothing above."""
        roots: NDArray[np.bool_] = self.parent[nodes] == nodes
        return roots

    def nearest_common(self, nodes: Nodes) -> int | None:
        """The lowest node above or at all of these; None when they stand in different trees."""
        nodes = np.unique(nodes)
        while len(nodes) > 1:
            # What they have in common is as old as the oldest of them, or older.
            younger = self._age[nodes] > self._age[nodes].min()
            if self.is_root(nodes[younger]).any():
                return None
            nodes = np.unique(np.where(younger, self.parent[nodes], nodes))
        return int(nodes[0])

    def root(self, node: int) -> int:
        """The root of its tree."""
        while self.parent[node] != node:
            node = int(self.parent[node])
        return node

    def path(self, nodes: Nodes) -> Nodes:
        """These and all nodes above them, each once, those above before those below."""
        found = layer = np.unique(nodes)
        while len(layer := np.setdiff1d(self.parent[layer], found)):
            found = np.concatenate([found, layer])
        return found[np.argsort(self._age[found])]

    def _take(self, count: int) -> Nodes:
        taken: list[Nodes] = []
        missing = count
        while missing and self._free:
            batch = self._free.pop()
            taken.append(batch[:missing])
            if len(batch) > missing:
                self._free.append(batch[missing:])
            missing -= len(taken[-1])
        taken.append(self._grow(missing))
        nodes = np.concatenate(taken)
        self._age[nodes] = np.arange(self._born, self._born + count)
        self._born += count
        return nodes

    def _grow(self, count: int) -> Nodes:
        before = len(self.parent)
        if count == 0:
            return np.empty(0, np.int32)
        # Twice as many each time, so that growing costs little a node.
        more = max(count, before, 16)
        for name in ("parent", "branches", "_age"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros(more, old.dtype)]))
        fresh = np.arange(before, before + more, dtype=np.int32)
        if more > count:
            self._free.append(fresh[count:])
        return fresh[:count]

    def _give_back(self, nodes: Nodes) -> None:
        if len(nodes):
            self._free.append(nodes)
