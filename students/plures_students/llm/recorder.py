"""Lives of a language model, recorded answer by answer, so that nothing that was paid for is asked twice.

The folder has `answers.jsonl`, one line an answer, and, once all lives are through, the data set.
"""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from plures_kernels.errors import InvalidArgument

from ..lives import Lives, LivesCard, LivesError, write_lives
from ..teachers import World
from .endpoint import Answer, Endpoint, EndpointDown
from .game import GAMES, Game, Lived

ANSWERS = "answers.jsonl"


@dataclass(frozen=True)
class Recording:
    """What to record, and where to. asks: how often a step is asked again when the answer is no action.

    A life whose step stays without an action ends there: nothing is guessed. at_once: lives side by side.
    """

    world: World
    model: str
    lives: int
    steps: int
    out: Path
    seed: int = 0
    asks: int = 3
    at_once: int = 8

    def __post_init__(self) -> None:
        if min(self.lives, self.steps, self.asks, self.at_once) < 1:
            raise InvalidArgument("lives, steps, asks and at_once are each at least 1")

    @property
    def identity(self) -> dict[str, Any]:
        """What answers depend on, but for the model's whims."""
        return {"world": str(self.world), "model": self.model, "seed": self.seed, "steps": self.steps}

    async def run(self, endpoint: Endpoint, on_step: Callable[[], None] = lambda: None) -> Lives:
        """Record what is not recorded yet, and write the data set. EndpointDown: go on by calling it again."""
        answers = _Answers(self.out, self.identity)
        limit, failures = asyncio.Semaphore(self.at_once), list[EndpointDown]()
        lives = [_Life(self, number, answers.of.get(number, [])) for number in range(self.lives)]

        async def live(life: _Life) -> None:
            async with limit:
                # Where one failed, no more begin; but answers that are on their way are paid for.
                if not failures:
                    try:
                        await life.live(endpoint, answers, on_step)
                    except EndpointDown as error:
                        failures.append(error)

        try:
            await asyncio.gather(*map(live, lives))
        finally:
            answers.close()
        if failures:
            raise failures[0]
        data = _lives(self, lives)
        write_lives(self.out, data)
        return data


class _Answers:
    """The log: what was answered is on the disk before the next question."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / ANSWERS
        self.of: dict[int, list[dict[str, Any]]] = {}
        if path.exists():
            self._read(path, identity)
        else:
            path.write_text(json.dumps(identity) + "\n")
        self._file = path.open("a")

    def add(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _read(self, path: Path, identity: dict[str, Any]) -> None:
        text = path.read_text()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            # The last line was cut off with whoever wrote it.
            os.truncate(path, len(whole.encode()))
        try:
            first, *entries = [json.loads(line) for line in whole.splitlines()]
            for entry in entries:
                self.of.setdefault(entry["life"], []).append(entry)
        except (ValueError, KeyError, TypeError) as error:
            raise LivesError(f"{path} cannot be read: {error}; record to another folder") from error
        if first != identity:
            raise LivesError(f"{path} has lives of {first}, not of {identity}; record to another folder")


@dataclass
class _Life:
    """One life: it is lived again from its answers, then goes on."""

    recording: Recording
    number: int
    known: list[dict[str, Any]]
    steps: list[Lived] = field(default_factory=list)
    paid: list[tuple[float, int, int, int]] = field(default_factory=list)
    facts: list[dict[str, float]] = field(default_factory=list)

    async def live(self, endpoint: Endpoint, answers: _Answers, on_step: Callable[[], None]) -> None:
        recording = self.recording
        game = GAMES[type(recording.world)](recording.world)
        places = recording.world.begin(1, np.random.default_rng([recording.seed, self.number]))
        while len(self.steps) < recording.steps:
            seen = int(places.observation_B[0])
            facts = {name: float(fact_B[0]) for name, fact_B in places.facts().items()}
            action = await self._action(endpoint, answers, game, seen)
            if action is None:
                return
            reward_B, done_B = places.step(np.array([action]))
            self.steps.append(Lived(seen, action, float(reward_B[0]), bool(done_B[0])))
            self.facts.append(facts)
            on_step()

    async def _action(self, endpoint: Endpoint, answers: _Answers, game: Game, seen: int) -> int | None:
        """What the model does now, and what that cost; None when it would not say."""
        cost = np.zeros(4)
        for _ in range(self.recording.asks):
            if self.known:
                entry = self.known.pop(0)
            else:
                entry = self._entry(game, await endpoint.ask(game.messages(self.steps, seen)))
                answers.add(entry)
            cost += (entry["seconds"], entry["prompt_tokens"], entry["completion_tokens"], 1)
            if entry["action"] is not None:
                self.paid.append((float(cost[0]), int(cost[1]), int(cost[2]), int(cost[3])))
                return int(entry["action"])
        return None

    def _entry(self, game: Game, answer: Answer) -> dict[str, Any]:
        action = None if answer.refused else game.action(answer.text)
        return {"life": self.number, "step": len(self.steps), "action": action, **asdict(answer)}


def _lives(recording: Recording, lives: list[_Life]) -> Lives:
    lived = [life for life in lives if life.steps]
    if not lived:
        raise LivesError(
            f"{recording.model} gave no answer that is an action; see {recording.out / ANSWERS} for what it said"
        )
    steps = [step for life in lived for step in life.steps]
    paid = np.array([cost for life in lived for cost in life.paid])
    extra = dict(zip(("seconds", "prompt_tokens", "completion_tokens", "asks"), paid.T.astype(np.float32), strict=True))
    facts = [fact for life in lived for fact in life.facts]
    extra |= {name: np.array([fact[name] for fact in facts], np.float32) for name in facts[0]}
    world = recording.world
    return Lives(
        card=LivesCard(
            world.observation_space,
            world.action_space,
            title=f"{recording.model} in {type(world).__name__}",
            source=f"recorded by Plures: {recording.model}, {world}",
            seconds_per_decision=float(np.median(paid[:, 0])) or None,
        ),
        life_L=np.array([life.number for life in lived], np.int64),
        offsets=np.concatenate([[0], np.cumsum([len(life.steps) for life in lived])]),
        step_N=np.concatenate([np.arange(len(life.steps)) for life in lived]),
        observation_N=np.array([step.observation for step in steps], np.int32),
        action_N=np.array([step.action for step in steps], np.int32),
        reward_N=np.array([step.reward for step in steps], np.float32),
        done_N=np.array([step.done for step in steps], np.bool_),
        extra=extra,
    )
