"""How a student is fitted to lives."""

from dataclasses import dataclass, field

from plures_kernels.errors import InvalidArgument

from .rehearsal import RehearsalSettings


@dataclass(frozen=True)
class ImitationSettings:
    """The outer loop. `batch`, `short` and `length` are counted in steps of lives.

    With `relabel`, actions get new names in each segment; the columns `rename` of a MultiDiscrete observation, in each
    episode (see renaming.py). Where the lives tell what was played, the student also rehearses (see rehearsal.py),
    unless `rehearse` is off.

    Half of the batches are `short` segments, so that newborns are imitated well; the others grow from `short` to
    `length` in the first `growth` of the training, so that the student learns to tell in context whom it imitates.
    `minutes` bounds the time: the schedule is then hastened to end with it, and the result depends on the machine.
    With `births`, segments begin with lives alone: for teachers whose learning outlasts their episodes.
    Small students gain little from a second `thread`, and lose much to it when the machine has other work.
    """

    steps: int = 700
    batch: int = 8192
    length: int = 1400
    short: int = 200
    births: bool = False
    growth: float = 0.4
    learning_rate: float = 4e-3
    warmup: int = 30
    weight_decay: float = 0.01
    clip: float = 1.0
    averaging: float = 0.98
    valid: float = 0.1
    validate_every: int = 50
    relabel: bool = True
    rename: tuple[int, ...] = ()
    rehearse: bool = True
    rehearsal: RehearsalSettings = field(default_factory=RehearsalSettings)
    minutes: float | None = None
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "length", "short", "warmup", "validate_every", "threads"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"{name} {getattr(self, name)} is not at least 1")
        if not 0 < self.valid < 1:
            raise InvalidArgument(f"valid {self.valid} is not a share between 0 and 1")
        if self.minutes is not None and not self.minutes > 0:
            raise InvalidArgument(f"minutes {self.minutes} is not positive")
        if self.seed < 0:
            raise InvalidArgument(f"seed {self.seed} is negative")
