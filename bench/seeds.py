"""What must change in a learner for it to be imitated: fast weights, rich activations, or nothing but a context?

Students with gradient-like fast weights, with rich residual activations (GRU, state-space model), with a context only,
and with a context and silent thinking, all of as many slow weights and as many bytes of state, are trained alike on the
lives of the same teachers and weighed by other lives of theirs. Algorithms stand beside, each teacher's own among them.

    python bench/seeds.py --work out/seeds --json bench/results/seeds.json

Goes on where it was stopped: students are kept in --work.
"""

import argparse
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


def row(name: str, work: Path) -> dict[str, Any]:
    world, learner = TEACHERS[name]
    train, test = (record(world, learner, lives, STEPS, seed) for lives, seed in ((SHOWN, 1), (TESTED, 2)))
    members = read_members("seeds,algorithms,chance", Size(), SETTINGS)
    report = identify(
        members, train, test, work / name, lambda member, at: print(name, member, round(at, 2), flush=True)
    )
    return {"teacher": name, "world": str(world), "learner": str(learner), **report}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with threads(1):
        for name in TEACHERS:
            rows.append(row(name, arguments.work))
            write_json(arguments.json, "members of the family, of one size, beside the same teachers", rows)


if __name__ == "__main__":
    main()
