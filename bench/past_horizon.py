"""Past the horizon: students of teachers that go on learning long after the recording ended.

For each teacher, a student whose fast weights change and one that attends to its last H steps alone (a frozen
transformer, as in Laskin et al. 2022, arXiv:2210.14215), with as many slow weights, are trained alike on the first H
steps of lives. Then copies of both live 10 H steps. `floor` is the teacher's divergence from itself with another seed.
Bandits have two cases each: the default rule's, and that of the rule that counts; the Q-learner has three: the default
rule's, one of a student with more layers, whose keys are as many as the cells, and that of the rule that bootstraps.

    python bench/past_horizon.py --work out/past_horizon --json bench/results/past_horizon.json

Goes on where it was stopped; students and the teachers' lives are kept in --work.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from common import write_json
from plures_students.checkpoint import load_checkpoint, save_checkpoint
from plures_students.config import StudentConfig
from plures_students.fidelity.horizon import beside, bins, chances, curve, kl
from plures_students.identify.sizes import parameters, state_bytes, with_parameters
from plures_students.imitate import ImitationSettings
from plures_students.imitate.trainer import Trainer
from plures_students.lives import Lives, read_lives, split, write_lives
from plures_students.model import Student
from plures_students.teachers import Bandit, DarkRoom, Dqn, Learner, QLearner, Thompson, Ucb1, World, foreseen, record
from plures_students.threads import threads

BEYOND = 10


@dataclass(frozen=True)
class Case:
    """A teacher in its world, the steps of its lives that students are shown, and how many lives go on beyond.

    `shown`: lives to train on, in `training` steps of descent, each on `batch` steps of lives. `rule` and `sizes` are
    those of the student whose weights change, `rate` its learning rate; the other's is as by default.
    """

    world: World
    learner: Learner
    steps: int
    heads: int
    lives: int = 200
    shown: int = 600
    training: int = 600
    batch: int = 3000
    rule: str = "gated_delta"
    sizes: Mapping[str, int] = field(default_factory=dict)
    rate: float = ImitationSettings.learning_rate

    @property
    def members(self) -> tuple[str, str]:
        return self.rule, "context"


_ROOM = DarkRoom(5, episode=15)
_TABLE = {"layers": 1, "width": 48, "key_width": 25, "value_width": 5, "mlp_width": 64}
"""With room for what each action is worth in each of the cells."""
CASES = {
    "ucb1": Case(Bandit(5), Ucb1(), 100, heads=2),
    "ucb1_counted": Case(
        Bandit(5),
        Ucb1(),
        100,
        heads=2,
        shown=2000,
        training=1000,
        batch=1500,
        rule="average",
        sizes={"layers": 1, "mlp_width": 1},
        rate=1e-2,
    ),
    "thompson": Case(Bandit(5), Thompson(), 100, heads=2),
    "thompson_counted": Case(
        Bandit(5),
        Thompson(),
        100,
        heads=2,
        lives=600,
        shown=2000,
        training=800,
        batch=1500,
        rule="average",
        sizes={"layers": 1, "mlp_width": 16},
        rate=1e-2,
    ),
    "q_learner": Case(_ROOM, QLearner(0.3, 0.9), 300, heads=4),
    "q_learner_deep": Case(
        _ROOM,
        QLearner(0.3, 0.9),
        300,
        heads=3,
        shown=2000,
        training=1200,
        sizes={"layers": 4, "key_width": 32},
        rate=6e-3,
    ),
    "q_learner_td": Case(
        _ROOM,
        QLearner(0.3, 0.9),
        300,
        heads=1,
        shown=2000,
        training=1000,
        rule="td",
        sizes=_TABLE,
        rate=1e-2,
    ),
    "dqn": Case(_ROOM, Dqn(), 200, heads=4, lives=32, shown=400, training=400),
    "dqn_td": Case(_ROOM, Dqn(), 200, heads=1, lives=32, shown=400, training=1000, rule="td", sizes=_TABLE, rate=1e-2),
}


def config_of(case: Case, member: str) -> StudentConfig:
    """Fast weights of the case's shape; or a context as long as the recording, and as many slow weights."""
    sizes = {"heads": case.heads, **case.sizes}
    learning = StudentConfig(case.world.observation_space, case.world.action_space, case.rule, **sizes)
    if member == case.rule:
        return learning
    return with_parameters(replace(learning, rule="context", heads=2, window=case.steps), parameters(learning))


def student_of(name: str, case: Case, member: str, seed: int, work: Path) -> Student:
    """Trained on the first H steps of lives, or as it was found."""
    if (work / "config.json").exists():
        return load_checkpoint(work).student
    settings = ImitationSettings(
        steps=case.training, batch=case.batch, length=case.steps, short=case.steps, births=True,
        relabel=isinstance(case.world, Bandit), rehearse=False, seed=seed,
        learning_rate=case.rate if member == case.rule else ImitationSettings.learning_rate,
    )  # fmt: skip
    train, valid = split(lives_of(case, case.shown, case.steps, 100, work.parent / f"{name}-shown"), 0.9, seed)
    trainer = Trainer(config_of(case, member), settings, train, valid)
    while trainer.progress < 1:
        trainer.advance()
        if trainer.course.step % settings.validate_every == 0:
            print(work.name, trainer.course.step, round(trainer.validate(), 4), flush=True)
    save_checkpoint(work, trainer.best, {"training": asdict(settings), "curve": trainer.course.curve})
    return trainer.best


def lives_of(case: Case, count: int, steps: int, seed: int, work: Path) -> Lives:
    """Teachers' lives, recorded once."""
    if not (work / "card.json").exists():
        write_lives(work, record(case.world, case.learner, count, steps, seed))
    return read_lives(work)


def teacher_row(name: str, case: Case, lives: Lives) -> dict[str, Any]:
    edges = bins(BEYOND * case.steps)
    reward = curve(lives.reward_N.astype(np.float64), case.lives, edges)
    facts = {"teacher": str(case.learner), "world": str(case.world), "shown": case.steps, "lives": case.lives}
    facts |= {"shown_lives": case.shown, "training_steps": case.training}
    return {
        "case": name, **facts, "until": edges[1:].tolist(), "reward": asdict(reward),
        "floor": asdict(curve(kl(chances(lives), foreseen(another(case.learner), lives)), case.lives, edges)),
    }  # fmt: skip


def another(learner: Learner) -> Learner:
    """The same algorithm with other chance in it, if there is any."""
    return replace(learner, seed=learner.seed + 1) if isinstance(learner, Dqn) else learner


def student_row(name: str, case: Case, member: str, seed: int, lives: Lives, work: Path) -> dict[str, Any]:
    student = student_of(name, case, member, seed, work / f"{name}-{member}-{seed}")
    found = beside(student, case.learner, case.world, lives, seed=1)
    config = student.config
    size = {"parameters": parameters(config), "state_bytes": state_bytes(config)}
    return {"case": name, "member": member, "seed": seed, **size, **found.to_json()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", type=int, default=3, help="Of the trainings.")
    arguments = parser.parse_args()
    rows = json.loads(arguments.json.read_text()) if arguments.json.exists() else {"rows": [], "teachers": []}
    teachers, students = rows["teachers"], rows["rows"]
    with threads(1):
        for seed in range(arguments.seeds):
            for name in arguments.cases:
                case = CASES[name]
                lives = lives_of(case, case.lives, BEYOND * case.steps, 1, arguments.work / f"{name}-beyond")
                if not any(row["case"] == name for row in teachers):
                    teachers.append(teacher_row(name, case, lives))
                for member in case.members:
                    if not any((row["case"], row["member"], row["seed"]) == (name, member, seed) for row in students):
                        students.append(student_row(name, case, member, seed, lives, arguments.work))
                        write_json(arguments.json, "past the horizon", students, teachers=teachers)
                        print(name, member, seed, students[-1]["copies_reward"]["mean"][-1], flush=True)


if __name__ == "__main__":
    main()
