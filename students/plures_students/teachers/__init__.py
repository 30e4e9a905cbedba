"""Teachers that are algorithms: they learn in small worlds, and their lives can be recorded."""

from .bandits import GradientBandit, Thompson, Ucb1
from .learner import Learner, Mind, Step
from .making import make
from .recording import foreseen, record
from .tables import ActorCritic, QLearner
from .worlds import WORLDS, Bandit, DarkRoom, World

LEARNERS: dict[str, type[Learner]] = {
    "actor_critic": ActorCritic,
    "gradient_bandit": GradientBandit,
    "q_learner": QLearner,
    "thompson": Thompson,
    "ucb1": Ucb1,
}

__all__ = [
    "LEARNERS",
    "WORLDS",
    "ActorCritic",
    "Bandit",
    "DarkRoom",
    "GradientBandit",
    "Learner",
    "Mind",
    "QLearner",
    "Step",
    "Thompson",
    "Ucb1",
    "World",
    "foreseen",
    "make",
    "record",
]
