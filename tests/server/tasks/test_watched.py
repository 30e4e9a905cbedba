"""What a task hands out is looked at before an agent perceives it, whoever wrote the task."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from plures_server.errors import TaskFailed
from plures_server.tasks import TASKS, Watched

MAZE = TASKS["maze"]
OPEN = torch.tensor([[0.0] * 9 + [40, 80, 20]] * 3)
WRONG: dict[str, tuple[str, Any, str]] = {
    "no tensor": ("observation", np.zeros(3, np.int32), "returned observation ndarray, not a tensor"),
    "a cell beyond": ("observation", torch.tensor([0, 81, 0], dtype=torch.int32), "observation 81 for row 1"),
    "a cell before": ("observation", torch.tensor([-1, 0, 0], dtype=torch.int32), "observation -1 for row 0"),
    "a number": ("step", 1.0, "returned reward float, not a tensor"),
    "a summary of others": ("summary", torch.zeros(2, 13), r"summary torch.float32 [2, 13], not torch.float32 [3, 13]"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_no_agent_could_perceive_fails_the_task(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    method, wrong, said = WRONG[what]
    watched = Watched("maze", MAZE, OPEN, torch.arange(3), np.full(3, 9))
    ask: dict[str, Callable[[], Any]] = {
        "observation": lambda: watched.observation(slice(0, 3)),
        "step": lambda: watched.step(slice(0, 3), torch.zeros(3, dtype=torch.int32), 0),
        "summary": watched.summary,
    }
    ask[method]()
    monkeypatch.setattr(watched._episode, method, lambda *_: wrong)
    with pytest.raises(TaskFailed) as failed:
        ask[method]()
    assert said in str(failed.value)
