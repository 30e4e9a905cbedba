"""Teachers for tests: classic learners at work, written from the formula of their docstring in plain numpy."""

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from plures_students.classic import ClassicLearner
from plures_students.lives import Lives, LivesCard

LEARNER = ClassicLearner(
    learning_rate=0.35, forgetting=0.15, kernel_rate=0.4, inverse_temperature=3.0, kernel_weight=0.8
)


def probabilities(learner: ClassicLearner, q_A: NDArray[np.float64], c_A: NDArray[np.float64]) -> NDArray[np.float64]:
    score_A = np.exp(learner.inverse_temperature * q_A + learner.kernel_weight * c_A)
    return score_A / score_A.sum()


def learn(
    learner: ClassicLearner, q_OA: NDArray[np.float64], c_A: NDArray[np.float64], o: int, a: int, reward: float
) -> None:
    learned = q_OA[o, a] + learner.learning_rate * (reward - q_OA[o, a])
    q_OA *= 1 - learner.forgetting
    q_OA[o, a] = learned
    c_A += learner.kernel_rate * (np.eye(2)[a] - c_A)


def played(
    lives: int, episodes: int, trials: int, seed: int, learner: ClassicLearner = LEARNER, observations: int = 1
) -> Lives:
    """Lives of a learner on two-armed bandits, a new one each episode: one arm pays with .8, the other with .2."""
    rng = np.random.default_rng(seed)
    n = lives * episodes * trials
    episode_N = np.arange(n) // trials
    observation_N = rng.integers(0, observations, n)
    best_EO = rng.integers(0, 2, (lives * episodes, observations))
    best_N = best_EO[episode_N, observation_N]
    action_N, reward_N = np.zeros(n, np.int32), np.zeros(n, np.float32)
    for i in range(n):
        if i % trials == 0:
            q_OA, c_A = np.zeros((observations, 2)), np.zeros(2)
        o = observation_N[i]
        action_N[i] = rng.random() < probabilities(learner, q_OA[o], c_A)[1]
        reward_N[i] = rng.random() < (0.8 if action_N[i] == best_N[i] else 0.2)
        learn(learner, q_OA, c_A, o, action_N[i], reward_N[i])
    return Lives(
        card=LivesCard(Discrete(observations), Discrete(2), title="classic learners", seconds_per_decision=0.5),
        life_L=np.arange(lives),
        offsets=np.arange(0, n + 1, episodes * trials),
        step_N=np.arange(n) % (episodes * trials),
        observation_N=observation_N.astype(np.int32),
        action_N=action_N,
        reward_N=reward_N,
        done_N=np.arange(1, n + 1) % trials == 0,
        extra={"best_action": best_N, "p_best": np.full(n, 0.8), "p_other": np.full(n, 0.2)},
    )
