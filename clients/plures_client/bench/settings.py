"""What is measured, for how long, and of whom."""

from dataclasses import dataclass, field

SIZES = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Settings:
    """A student on a task, beside a teacher who takes `teacher_seconds` for a decision.

    `seconds`: about how long one repeat goes on. `sizes`: cohorts, as far as they fit. `goal`: the speed-up that the
    largest cohort is looked for which still has it. `quality`: what a problem must be solved to.
    """

    student: str
    task: str
    parameters: dict[str, float]
    teacher_seconds: float
    sizes: tuple[int, ...] = SIZES
    repeats: int = 5
    seconds: float = 1.0
    goal: float = 100.0
    quality: float = 0.9
    seed: int = 1
    sections: frozenset[str] = field(default_factory=lambda: frozenset(("serial", "parallel", "problems")))
