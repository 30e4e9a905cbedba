"""What must change in a learner for it to be imitated: fast weights, rich activations, or nothing but a context?

Students with gradient-like fast weights, with rich residual activations (GRU, state-space model), with a context only,
and with a context and silent thinking, all of as many slow weights and as many bytes of state, are trained alike on the
lives of the same teachers and weighed by other lives of theirs. Algorithms stand beside, each teacher's own among them.

    python bench/seeds.py --work out/seeds --json bench/results/seeds.json

Goes on where it was stopped: students are kept in --work, and rows of teachers that are not asked for in --json.
"""

import argparse
import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from common import write_json
from plures_students.identify.compare import identify
from plures_students.identify.members import read_members
from plures_students.identify.sizes import Size
from plures_students.imitate import ImitationSettings
from plures_students.teachers import Bandit, Learner, QLearner, Thompson, World, record
from plures_students.threads import threads

TEACHERS: dict[str, tuple[World, Learner]] = {
    "thompson": (Bandit(3), Thompson()),
    "q_forgetting": (Bandit(3, drift=0.05), QLearner(0.4, 0.0, 0.1, "softmax", inverse_temperature=5.0)),
}
STEPS, SHOWN, TESTED = 150, 300, 80
SETTINGS = ImitationSettings(steps=300, batch=3000, length=STEPS, short=STEPS, births=True, rehearse=False)


def row(name: str, seed: int, work: Path) -> dict[str, Any]:
    world, learner = TEACHERS[name]
    train, test = (record(world, learner, lives, STEPS, seed) for lives, seed in ((SHOWN, 1), (TESTED, 2)))
    members = read_members("seeds,algorithms,chance", Size(), replace(SETTINGS, seed=seed))
    report = identify(
        members, train, test, work / f"{name}-{seed}", lambda member, at: print(name, member, round(at, 2), flush=True)
    )
    return {"teacher": name, "seed": seed, "world": str(world), "learner": str(learner), **report}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--teachers", nargs="+", choices=list(TEACHERS), default=list(TEACHERS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="Of the trainings.")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = json.loads(arguments.json.read_text())["rows"] if arguments.json.exists() else []
    with threads(1):
        for seed, name in product(arguments.seeds, arguments.teachers):
            learner = str(TEACHERS[name][1])
            # Rows of the first training may be older than this entry.
            rows = [one for one in rows if (one["learner"], one.get("seed", 0)) != (learner, seed)]
            rows.append(row(name, seed, arguments.work))
            write_json(arguments.json, "members of the family, of one size, beside the same teachers", rows)


if __name__ == "__main__":
    main()
