"""Lives from Minari's data sets (https://minari.farama.org), for those who have Minari installed."""

from typing import Any, Literal

import numpy as np

from .card import LivesCard
from .errors import LivesError
from .lifetimes import Lifetime, from_lifetimes, our_space
from .lives import Lives

LifeIs = Literal["episode", "dataset"]


def import_minari(name: str, life_is: LifeIs = "episode") -> Lives:
    """A local Minari data set: each episode a life, or all episodes, in order, the one life of a learner.

    Minari knows episodes alone; one whose agent learned throughout is a history of learning only in its order.
    LivesError: no Minari, no such data set, or one that lives cannot hold.
    """
    where, dataset = f"Minari data set {name}", _load(name)
    card = LivesCard(
        our_space(dataset.observation_space, "observation space", where),
        our_space(dataset.action_space, "action space", where),
        title=name,
        source=f"Minari, {getattr(dataset.spec, 'code_permalink', None) or name}",
    )
    episodes = sorted(dataset.iterate_episodes(), key=lambda episode: int(episode.id))
    lifetimes = [_lifetime(episode, where) for episode in episodes]
    if life_is == "dataset" and lifetimes:
        lifetimes = [_joined(lifetimes)]
    return from_lifetimes(card, lifetimes, where)


def _load(name: str) -> Any:
    try:
        import minari
    except ImportError as error:
        raise LivesError("Minari is not installed; pip install 'plures[minari]'") from error
    try:
        return minari.load_dataset(name)
    except (OSError, ValueError, KeyError) as error:
        raise LivesError(f"Minari data set {name} cannot be loaded: {error}; fetch it with minari download") from error


def _lifetime(episode: Any, where: str) -> Lifetime:
    steps = len(episode.rewards)
    if len(episode.observations) not in (steps, steps + 1):
        raise LivesError(f"{where}: episode {episode.id} has {len(episode.observations)} observations of {steps} steps")
    # The last observation is what came after the last action: nothing was done upon it.
    done_T = np.asarray(episode.terminations, np.bool_) | np.asarray(episode.truncations, np.bool_)
    seen_T = np.asarray(episode.observations)[:steps]
    return Lifetime(seen_T, np.asarray(episode.actions), np.asarray(episode.rewards), done_T)


def _joined(lifetimes: list[Lifetime]) -> Lifetime:
    columns = ("observation_T", "action_T", "reward_T", "done_T")
    return Lifetime(*(np.concatenate([getattr(one, column) for one in lifetimes]) for column in columns))
