"""What is in a data set, told of its parts one after another, so that it need not fit into memory."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from .card import LivesCard
from .lives import Lives


@dataclass
class Summary:
    """Lengths of lives, in steps; how many episodes; least, greatest and mean reward; names of further columns."""

    card: LivesCard
    extra: tuple[str, ...]
    lengths: list[int] = field(default_factory=list)
    episodes: int = 0
    lowest: float = np.inf
    highest: float = -np.inf
    reward: float = 0.0

    @property
    def steps(self) -> int:
        return sum(self.lengths)

    @property
    def mean_reward(self) -> float:
        return self.reward / self.steps

    def add(self, lives: Lives) -> None:
        self.lengths += lives.lengths.tolist()
        self.episodes += len(lives.episodes()) - 1
        self.lowest = min(self.lowest, float(lives.reward_N.min()))
        self.highest = max(self.highest, float(lives.reward_N.max()))
        self.reward += float(lives.reward_N.sum(dtype=np.float64))


def summarise(parts: Iterable[Lives]) -> Summary:
    """Of all lives in the parts, of which there is at least one."""
    summary: Summary | None = None
    for lives in parts:
        summary = summary or Summary(lives.card, tuple(lives.extra))
        summary.add(lives)
    assert summary is not None, "a stream has a part, or says why not"
    return summary
