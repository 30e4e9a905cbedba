"""Shared by the server's tests: small students, and a pool or an engine of them without any network."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import torch
from gymnasium.spaces import Discrete, Space
from plures_server.students import ServedStudent
from plures_students.config import StudentConfig
from plures_students.model import Student

CPU = torch.device("cpu")


def small_student(observation: Space[Any] | None = None, actions: int = 2, seed: int = 0, size: int = 4) -> Student:
    """A student nobody has trained, with 4 · size² floats a page."""
    torch.manual_seed(seed)
    sizes = {"width": 8, "key_width": size, "value_width": size, "mlp_width": 8}
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
