"""Lives of whoever acts in a gymnasium environment."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import gymnasium
import numpy as np

from .card import LivesCard
from .errors import LivesError
from .lifetimes import Lifetime, from_lifetimes, our_space
from .lives import Lives

Agent = Callable[[Any, float, bool], Any]
"""Chooses an action, given an observation, the reward of its last action, and whether that ended an episode."""
MakeAgent = Callable[[gymnasium.Env[Any, Any], int], Agent]
"""Makes a newborn agent for an environment, from a seed."""


def random_agent(env: gymnasium.Env[Any, Any], seed: int) -> Agent:
    """Samples the action space."""
    env.action_space.seed(seed)
    return lambda observation, reward, done: env.action_space.sample()


def read_agent(name: str) -> MakeAgent:
    """`random`, or a function by the name MODULE:FUNCTION; LivesError where there is none."""
    if name == "random":
        return random_agent
    module, _, function = name.partition(":")
    try:
        made: MakeAgent = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise LivesError(f"agent {name!r} is neither random nor a MODULE:FUNCTION to import: {error}") from error
    return made


def rollout(environment: str, agent: str, lives: int, steps: int, seed: int) -> Lives:
    """`lives` newborn agents live `steps` steps each in a registered environment, which is reset where episodes end.

    LivesError: no such environment or agent, spaces that lives cannot hold, or an action outside its space.
    """
    try:
        env = gymnasium.make(environment)
    except gymnasium.error.Error as error:
        raise LivesError(f"environment {environment} cannot be made: {error}") from error
    where = f"{agent} in {environment}"
    card = LivesCard(
        our_space(env.observation_space, "observation space", where),
        our_space(env.action_space, "action space", where),
        title=where,
        source=f"recorded by Plures: {where}, seed {seed}",
    )
    make = read_agent(agent)
    lifetimes = [
        _live(env, make(env, seed + life), steps, seed + life, f"{where}, life {life}") for life in range(lives)
    ]
    return from_lifetimes(card, lifetimes, where)


def _live(env: gymnasium.Env[Any, Any], agent: Agent, steps: int, seed: int, where: str) -> Lifetime:
    rows: list[tuple[Any, Any, float, bool]] = []
    (observation, _), reward, done = env.reset(seed=seed), 0.0, False
    for step in range(steps):
        action = agent(observation, reward, done)
        if not env.action_space.contains(action):
            raise LivesError(f"{where}: action {action!r} of step {step} is not in {env.action_space}")
        before = observation
        observation, gained, terminated, truncated, _ = env.step(action)
        reward, done = float(gained), terminated or truncated
        rows.append((before, action, reward, done))
        if done:
            observation, _ = env.reset()
    return Lifetime(*(np.stack([np.asarray(row[place]) for row in rows]) for place in range(4)))
