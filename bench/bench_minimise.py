"""Copies of an imitated optimiser beside the optimiser, scipy's Nelder–Mead, and beside copies that choose among leaps.

All search from the same places with as many values of the function; figures are how many orders of magnitude below 1 a
search ends, on average. Students as bench_coordinators.py has them.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import click
import numpy as np
from bench_coordinators import crowd, serving
from common import machine, write_json
from plures_client import Client
from plures_client.coordinators import Map, Results
from plures_client.problems import Function, Minimise
from plures_client.problems.minimise import FIRST_SIZE, LEAST
from scipy.optimize import minimize

NAMES = ("sphere", "ellipsoid", "rosenbrock", "rastrigin")
DIMENSIONS = (5, 10, 20)
STEPS = (600,)
STARTS, PROBLEMS = 8, 3
STUDENTS = {"simplex": "optimiser", "leaps": "leaper"}


class Each(Minimise):
    """Every search by itself, not the best of all."""

    def combine(self, results: Results) -> float:  # type: ignore[override]
        """Orders of magnitude below 1, on average."""
        return float(self.score(results).mean())


@dataclass(frozen=True)
class Row:
    """One function under one budget: its means and their standard errors over problems, by who searched."""

    function: str
    dimension: int
    steps: int
    orders: dict[str, float]
    errors: dict[str, float]


@click.command()
@click.option("--students", type=click.Path(exists=True, path_type=Path), required=True, help="A server's folder.")
@click.option("--json", "path", type=click.Path(path_type=Path))
def main(students: Path, path: Path | None) -> None:
    """Compare, print, and write."""
    print(machine())
    rows = []
    with serving(students) as client:
        for row in measure(client):
            found = ", ".join(f"{who} {orders:.2f} ± {row.errors[who]:.2f}" for who, orders in row.orders.items())
            print(f"{row.function}, {row.dimension} dimensions, {row.steps:,} values: {found}", flush=True)
            rows.append(asdict(row))
    if path:
        write_json(path, "minimise", rows)


def measure(client: Client) -> Iterator[Row]:
    for name, dimension, steps in product(NAMES, DIMENSIONS, STEPS):
        found: dict[str, list[float]] = {who: [] for who in ("scipy", *STUDENTS)}
        for number in range(PROBLEMS):
            function = Function(name, dimension, number + 1)
            for by, student in STUDENTS.items():
                problem = Each(function, starts=STARTS, steps=steps, seed=number, by=by)  # type: ignore[arg-type]
                found[by].append(crowd(client, student).solve(Map(), problem))
            found["scipy"].append(by_scipy(problem))
        means = {who: float(np.mean(values)) for who, values in found.items()}
        errors = {who: float(np.std(values, ddof=1) / PROBLEMS**0.5) for who, values in found.items()}
        yield Row(name, dimension, steps, means, errors)


def by_scipy(problem: Minimise) -> float:
    """The teacher itself, from the same places; only the sides on which its first vertices lie are its own."""
    dimension, orders = problem.function.dimension, []
    for start_D in problem.split().parameters[:, -20:][:, :dimension].astype(np.float64):
        vertices_VD = np.vstack([start_D, start_D + FIRST_SIZE * np.eye(dimension)])
        options = {"initial_simplex": vertices_VD, "maxfev": problem.steps + 1, "adaptive": True}
        found = minimize(problem.function, start_D, method="Nelder-Mead", options={**options, "xatol": 0, "fatol": 0})
        orders.append(-np.log10(max(found.fun, LEAST)))
    return float(np.mean(orders))


if __name__ == "__main__":
    main()
