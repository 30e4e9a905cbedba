"""Worlds told in words: what a language model is told of its life so far, and what its answer means."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..teachers import Bandit, DarkRoom, World

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Lived:
    """One step of a life as its model saw it."""

    observation: int
    action: int
    reward: float
    done: bool


@dataclass(frozen=True)
class Game:
    """A world in words. options: what actions are called, by number. sight: an observation in words, or nothing."""

    rules: str
    options: tuple[str, ...]
    sight: Callable[[int], str]

    def messages(self, life: list[Lived], observation: int) -> Messages:
        """The whole life, since a model learns in its context alone, and the question."""
        told = [self._told(number + 1, step) for number, step in enumerate(life)]
        question = f"{self.sight(observation)}Answer with one of {', '.join(self.options)}, and nothing else."
        return [{"role": "system", "content": self.rules}, {"role": "user", "content": "\n".join([*told, question])}]

    def action(self, answer: str) -> int | None:
        """The action that is meant; None when the answer is not just one option, and so not to be guessed at."""
        said = re.sub(r"[^\w]+", " ", answer).strip().lower()
        places = [number for number, option in enumerate(self.options) if option.lower() == said]
        return places[0] if places else None

    def _told(self, number: int, step: Lived) -> str:
        end = " The round ended." if step.done else ""
        did = f"You chose {self.options[step.action]} and got {step.reward:g}.{end}"
        return f"{number}. {self.sight(step.observation)}{did}"


def _bandit(world: World) -> Game:
    assert isinstance(world, Bandit)
    letters = (
        tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: world.arms]) if world.arms <= 26 else tuple(map(str, range(world.arms)))
    )
    rules = (
        f"You play {world.arms} slot machines, called {', '.join(letters)}. Each pays 1 or 0, with a chance of its own "
        "that you are not told. Collect as much as you can over many choices."
    )
    return Game(rules, letters, lambda observation: "")


def _dark_room(world: World) -> Game:
    assert isinstance(world, DarkRoom)
    size = world.size
    rules = (
        f"You walk in a dark room of {size} by {size} cells. One cell, always the same, pays 1 at each step that ends "
        f"there. Rows and columns count from 0. After {world.episode} steps you are put back in the middle."
    )
    return Game(
        rules,
        ("stay", "up", "down", "left", "right"),
        lambda cell: f"You are in row {cell // size}, column {cell % size}. ",
    )


GAMES: dict[type, Callable[[World], Game]] = {Bandit: _bandit, DarkRoom: _dark_room}
