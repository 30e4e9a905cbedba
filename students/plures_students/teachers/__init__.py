"""Teachers that are algorithms: they learn in small worlds, and their lives can be recorded."""

from .bandits import GradientBandit, Thompson, Ucb1
from .dqn import Dqn
from .habits import Perseverator, WinStayLoseShift
from .learner import Learner, Mind, Step
from .making import make
from .recording import foreseen, record
from .tables import ActorCritic, QLearner
from .worlds import WORLDS, Bandit, DarkRoom, Reversal, World

LEARNERS: dict[str, type[Learner]] = {
    "actor_critic": ActorCritic,
    "dqn": Dqn,
    "gradient_bandit": GradientBandit,
    "perseverator": Perseverator,
    "q_learner": QLearner,
    "thompson": Thompson,
    "ucb1": Ucb1,
    "win_stay_lose_shift": WinStayLoseShift,
}

__all__ = [
    "LEARNERS",
    "WORLDS",
    "ActorCritic",
    "Bandit",
    "DarkRoom",
    "Dqn",
    "GradientBandit",
    "Learner",
    "Mind",
    "Perseverator",
    "QLearner",
    "Reversal",
    "Step",
    "Thompson",
    "Ucb1",
    "WinStayLoseShift",
    "World",
    "foreseen",
    "make",
    "record",
]
