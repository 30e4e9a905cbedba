"""Stubs over a real channel to a real server process."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from gymnasium.spaces import Box, Discrete
from plures_students.checkpoint import save_checkpoint
from plures_students.config import StudentConfig
from plures_students.model import Student

from .helpers import Wire, connect


@pytest.fixture(scope="session")
def wire(server: Any) -> Iterator[Wire]:
    """To the server that all tests share: use names of your own."""
    with connect(server.address) as wire:
        yield wire
    log = (server.folder / "server.log").read_text()
    errors = [line for line in log.splitlines() if " ERROR " in line and "DecodeError" not in line]
    assert not errors, "whatever clients did, the server met nothing unexpected, and left no failure unread"


@pytest.fixture(scope="session")
def box_wire(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """To a server whose one student, `box`, sees three numbers from -1 to 1 and has fifty actions; room for 300,000."""
    other = type(server)(tmp_path_factory.mktemp("box"), ("--max-agents", "300000", "--memory-gb", "0.001"))
    torch.manual_seed(0)
    student = Student(StudentConfig(Box(-1, 1, (3,)), Discrete(50))).eval()
    save_checkpoint(other.folder / "students" / "box", student, {})
    other.start()
    try:
        with connect(other.address) as wire:
            yield wire
    finally:
        other.kill()
