"""How much faster a student is trained by scans than by a Python loop over the steps of lives."""

import time
from dataclasses import replace
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from ..config import StudentConfig
from ..imitate.histories import PADDING, Batch, Histories
from ..imitate.segments import Segments
from ..model import Memory, Student
from ..threads import threads
from .studies import Study

_ROUNDS = 3


def measure_speed(study: Study) -> dict[str, Any]:
    """Seconds, the least of three, that a step of training takes on its longest segments, forward and back."""
    lives = study.lives()
    space = lives.card.action_space
    config = StudentConfig(lives.card.observation_space, space, study.rule, **study.sizes)  # type: ignore[arg-type]
    settings = replace(study.settings, short=study.settings.length)
    start_B, stop_B, names_BA = Segments(lives, config.actions, settings).draw(0, 1.0)
    batch = Histories(lives).batch(start_B, stop_B, names_BA)
    torch.manual_seed(0)
    student = Student(config)
    with threads(1):
        seconds = {name: [] for name in ("scan", "loop")}  # type: dict[str, list[float]]
        for _ in range(_ROUNDS):
            for name, network in (("scan", student), ("loop", looped(student))):
                seconds[name].append(_seconds(network, batch))
    best = {f"{name}_seconds": min(values) for name, values in seconds.items()}
    return {
        "study": study.name,
        "segments": list(batch.action_BT.shape),
        **best,
        "ratio": best["loop_seconds"] / best["scan_seconds"],
    }


def looped(student: Student) -> Student:
    """The same student, whose memories go through lives step by step in Python."""
    twin = Student(student.config)
    twin.load_state_dict(student.state_dict())
    for memory in twin.memories:
        assert isinstance(memory, Memory)
        memory.rule = replace(memory.rule, scan_for={}, scan_general="naive")
    return twin


def _seconds(student: Student, batch: Batch) -> float:
    student.zero_grad()
    began = time.perf_counter()
    logits_BTA, _ = student(batch.inputs)
    loss = cross_entropy(logits_BTA.flatten(0, 1), batch.action_BT.flatten(), ignore_index=PADDING)
    loss.backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - began
