"""Do copies of an imitated Q-learner find goals better than chance, and do they come back to them?

Visits of regions that hold a goal, beside what who walks at random finds, which is computed. Students as
bench_coordinators.py has them.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from bench_coordinators import crowd, serving
from common import machine, write_json
from plures_client.coordinators import Map, Results
from plures_client.items import Items
from plures_client.problems import Regions
from plures_client.problems.luck import luck
from plures_client.problems.regions import CENTRE

MAZES, VISITS, EPISODE = 100, 10, 100


@dataclass(frozen=True)
class Row:
    """Visits of so many steps: the share that found the goal, its standard error, and what is found at random.

    `back`: of those that found it, the share of steps of the last half that ended on the goal.
    """

    steps: int
    visits: int
    found: float
    error: float
    at_random: float
    back: float


@dataclass(frozen=True)
class Visits:
    """`VISITS` of the goal's region in each of `MAZES` mazes."""

    steps: int

    def split(self) -> Items:
        rows = [maze.parameters(maze.goal[0], CENTRE, EPISODE) for maze in _mazes()]
        return Items.of("maze", np.repeat(rows, VISITS, axis=0), steps=self.steps, seed=1)

    def combine(self, results: Results) -> Row:
        found = results.column("first") > 0
        share, back = float(found.mean()), results.column("late_rewards")[found].mean() / (self.steps // 2)
        at_random = float(np.mean([luck(maze, self.steps, EPISODE) for maze in _mazes()]))
        error = float((share * (1 - share) / len(found)) ** 0.5)
        return Row(self.steps, len(found), share, error, at_random, float(back))


def _mazes() -> list[Regions]:
    return [Regions(2, 2, seed=seed) for seed in range(MAZES)]


@click.command()
@click.option("--students", type=click.Path(exists=True, path_type=Path), required=True, help="A server's folder.")
@click.option("--json", "path", type=click.Path(path_type=Path))
def main(students: Path, path: Path | None) -> None:
    """Visit, print, and write."""
    print(machine())
    with serving(students) as client:
        rows = [crowd(client, "dark-room").solve(Map(), Visits(steps)) for steps in (100, 300)]
    print(*rows, sep="\n")
    if path:
        write_json(path, "visits", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
