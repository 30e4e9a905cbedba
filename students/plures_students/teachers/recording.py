"""Lives of teachers, recorded; and what a teacher would have done in lives that another lived.

Shapes: B lives, T steps, A actions.
"""

from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from plures_kernels.errors import InvalidArgument

from ..lives import Lives, LivesCard
from .learner import Learner, Real, Step
from .worlds import World


def record(world: World, learner: Learner, lives: int, steps: int, seed: int) -> Lives:
    """`lives` lives of `steps` steps each; what onlookers may know stands in further columns.

    Among them `teacher_p_a`: how likely the teacher was to choose action a.
    """
    if lives < 1 or steps < 1:
        raise InvalidArgument(f"{lives} lives of {steps} steps are nothing to record")
    observations, actions = int(world.observation_space.n), int(world.action_space.n)
    rng = np.random.default_rng(seed)
    places, mind = world.begin(lives, rng), learner.begin(lives, observations, actions)
    columns: dict[str, list[NDArray[np.generic]]] = {}
    for _ in range(steps):
        observation_B, facts = places.observation_B, places.facts()
        probability_BA = mind.probabilities(observation_B)
        action_B = drawn(probability_BA, rng)
        reward_B, done_B = places.step(action_B)
        mind.learn(Step(observation_B, action_B, reward_B, done_B, places.observation_B))
        chances = {f"teacher_p_{a}": probability_BA[:, a] for a in range(actions)}
        seen = {"observation": observation_B, "action": action_B, "reward": reward_B, "done": done_B}
        for name, column_B in {**seen, **facts, **chances}.items():
            columns.setdefault(name, []).append(column_B)
    return _lives(world, learner, {name: np.stack(parts, axis=1) for name, parts in columns.items()})


def foreseen(learner: Learner, lives: Lives) -> Real:
    """The learner's probabilities [N, A] at each step of lives, had it lived them and learned from what was done."""
    spaces = lives.card.observation_space, lives.card.action_space
    if not all(isinstance(space, Discrete) for space in spaces):
        raise InvalidArgument(f"teachers know Discrete spaces alone, not {spaces[0]} and {spaces[1]}")
    observations, actions = (int(space.n) for space in spaces)  # type: ignore[attr-defined]
    mind, probability_NA = learner.begin(len(lives), observations, actions), np.empty((lives.steps, actions))
    last_B = lives.offsets[1:] - 1
    for t in range(int(lives.lengths.max())):
        # A life that has ended goes on with its last row, which nobody asks about any more.
        now_B, next_B = (np.minimum(lives.offsets[:-1] + ahead, last_B) for ahead in (t, t + 1))
        seen_B, after_B = (lives.observation_N[row_B].astype(np.int64) for row_B in (now_B, next_B))
        real_B = lives.lengths > t
        probability_NA[now_B[real_B]] = mind.probabilities(seen_B)[real_B]
        reward_B = lives.reward_N[now_B].astype(np.float64)
        mind.learn(Step(seen_B, lives.action_N[now_B].astype(np.int64), reward_B, lives.done_N[now_B], after_B))
    return probability_NA


def drawn(probability_BA: Real, rng: np.random.Generator) -> NDArray[np.int64]:
    """An action of each life, by inversion."""
    cumulative_BA = probability_BA.cumsum(axis=1)
    drawn_B: NDArray[np.int64] = (rng.random((len(probability_BA), 1)) >= cumulative_BA[:, :-1]).sum(axis=1)
    return drawn_B


def _lives(world: World, learner: Learner, columns_BT: dict[str, NDArray[Any]]) -> Lives:
    lives, steps = columns_BT["action"].shape
    flat = {name: column_BT.reshape(-1) for name, column_BT in columns_BT.items()}
    title = f"{type(learner).__name__} in {type(world).__name__}"
    source = f"recorded by Plures: {learner}, {world}"
    return Lives(
        card=LivesCard(world.observation_space, world.action_space, title, source, "CC0-1.0"),
        life_L=np.arange(lives),
        offsets=np.arange(lives + 1) * steps,
        step_N=np.tile(np.arange(steps), lives),
        observation_N=flat.pop("observation").astype(np.int32),
        action_N=flat.pop("action").astype(np.int32),
        reward_N=flat.pop("reward").astype(np.float32),
        done_N=flat.pop("done"),
        extra={name: column_N.astype(np.float32) for name, column_N in flat.items()},
    )
