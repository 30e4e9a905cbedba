"""Shared by the server's tests: small students, and a pool or an engine of them without any network."""

import asyncio
import time
from asyncio import Future
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete, Space
from numpy.typing import NDArray
from plures_server.act_request import ActRequest, ActResult
from plures_server.cohort import Cohort
from plures_server.engine import Engine
from plures_server.pool import Pool
from plures_server.students import ServedStudent
from plures_students.config import StudentConfig
from plures_students.model import Student
from torch import Tensor

CPU = torch.device("cpu")


def small_student(observation: Space[Any] | None = None, actions: int = 2, seed: int = 0, size: int = 4) -> Student:
    """A student nobody has trained, with 4 · size² floats a page."""
    torch.manual_seed(seed)
    sizes = {"width": 16, "key_width": size, "value_width": size, "mlp_width": 8}
    config = StudentConfig(observation or Discrete(1), Discrete(actions), **sizes)
    return Student(config).eval().requires_grad_(False)


def served(model: Student, name: str = "joe", digest: str = "0" * 64) -> ServedStudent:
    return ServedStudent(name, model, {}, digest)


async def wait_until(fact: Callable[[], Awaitable[bool]], timeout_s: float = 20.0) -> None:
    """Return when the fact holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not await fact():
        assert time.monotonic() < deadline, f"{getattr(fact, '__name__', fact)} did not come true in {timeout_s} s"
        await asyncio.sleep(0.005)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def start(engine: Engine, name: str, count: int, seed: int = 0, student: str = "joe") -> Awaitable[Cohort]:
    return engine.call(lambda pool: pool.start(name, student, count, seed))


def act(engine: Engine, cohort: str, ordinals: Sequence[int] | None = None, **perceived: Any) -> "Future[ActResult]":
    """Step agents once; what they perceive is given as lists or tensors."""
    chosen = None if ordinals is None else np.asarray(ordinals, np.int64)
    return engine.act(ActRequest(cohort, chosen, **perceived))


def forked(engine: Engine, source: str, name: str, copies: int = 1, seed: int = 0) -> Awaitable[Cohort]:
    return engine.call(lambda pool: pool.fork(source, None, copies, name, seed))


@dataclass(frozen=True)
class Lives:
    """What agents have become: their pages [B, page_floats] and their fields [B]."""

    page: Tensor
    step: NDArray[np.int64]
    last_action: NDArray[np.int32]
    reward: NDArray[np.float32]

    def same_bits(self, other: "Lives") -> bool:
        return torch.equal(self.page, other.page) and all(
            np.array_equal(getattr(self, field), getattr(other, field)) for field in ("step", "last_action", "reward")
        )


async def lives(engine: Engine, name: str, ordinals: Sequence[int] | None = None) -> Lives:
    """The agents of a cohort as they are between two pieces of the engine's work."""

    def read(pool: Pool) -> Lives:
        cohort = pool.get(name)
        rows = np.arange(cohort.count) if ordinals is None else np.asarray(ordinals)
        pages = pool.pages(cohort.student).get(cohort.page[rows])
        return Lives(pages, cohort.step[rows], cohort.last_action[rows], cohort.reward[rows])

    return await engine.call(read)
