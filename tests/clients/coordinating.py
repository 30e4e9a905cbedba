"""A process that coordinates, to be interrupted and killed: tells `begun` at its first report, and its answer."""

import sys

import numpy as np
from plures_client import Client, Items
from plures_client.coordinators import BestOf, MapReduce, Particles


class Coins:
    """How often copies win on bandits whose two arms pay alike, over several portions or rounds."""

    def __init__(self, items, steps, portions=4):
        self.count, self.steps, self.number = items, steps, portions

    def split(self):
        chance = np.linspace(0, 1, self.count)
        return Items.of("bandit", np.stack([chance, chance], axis=1), steps=self.steps, seed=5)

    def portions(self):
        items = self.split()
        for rows in np.array_split(np.arange(self.count), self.number):
            yield items.rows(rows)

    def score(self, results):
        return results.column("rewards_0") + results.column("rewards_1")

    def combine(self, results):
        return [float(won) for won in self.score(results)]

    def reduce(self, one, other):
        return one + other

    def go_on(self, items, results, number):
        return items


STRATEGIES = {
    "map-reduce": lambda **how: MapReduce(**how),
    "best-of": lambda **how: BestOf(6, at_once=2, **how),
    "particles": lambda **how: Particles(rounds=6, **how),
}


def told(step):
    print(f"{step.label} {step.done}", flush=True)


if __name__ == "__main__":
    address, cohort, strategy, items, steps, manifest = sys.argv[1:]
    how = {"report": told, "manifest": manifest or None}
    with Client(address) as client:
        answer = client.cohort(cohort).solve(STRATEGIES[strategy](**how), Coins(int(items), int(steps)))
    print("answer", *answer, flush=True)
