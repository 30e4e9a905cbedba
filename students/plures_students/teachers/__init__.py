"""Teachers that are algorithms: they learn in small worlds, and their lives can be recorded."""

from .bandits import GradientBandit, Thompson, Ucb1
from .dqn import Dqn
from .habits import Perseverator, WinStayLoseShift
from .learner import Learner, Mind, Step
from .making import make
from .optimisers import Adam, Evolution, Sgd
from .recording import foreseen, record
from .reversal import Reversal
from .tables import ActorCritic, QLearner
from .valley import Valley
from .worlds import Bandit, DarkRoom, World

WORLDS: dict[str, type[World]] = {
    "bandit": Bandit,
    "dark_room": DarkRoom,
    "reversal": Reversal,
    "valley": Valley,
}
LEARNERS: dict[str, type[Learner]] = {
    "actor_critic": ActorCritic,
    "adam": Adam,
    "dqn": Dqn,
    "evolution": Evolution,
    "gradient_bandit": GradientBandit,
    "perseverator": Perseverator,
    "q_learner": QLearner,
    "sgd": Sgd,
    "thompson": Thompson,
    "ucb1": Ucb1,
    "win_stay_lose_shift": WinStayLoseShift,
}

__all__ = [
    "LEARNERS",
    "WORLDS",
    "ActorCritic",
    "Adam",
    "Bandit",
    "DarkRoom",
    "Dqn",
    "Evolution",
    "GradientBandit",
    "Learner",
    "Mind",
    "Perseverator",
    "QLearner",
    "Reversal",
    "Sgd",
    "Step",
    "Thompson",
    "Ucb1",
    "Valley",
    "WinStayLoseShift",
    "World",
    "foreseen",
    "make",
    "record",
]
