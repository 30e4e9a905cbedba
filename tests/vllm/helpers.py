"""Small students with a language-model head, and what vLLM is told for tests."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from gymnasium.spaces import Discrete
from plures_students.checkpoint import save_checkpoint
from plures_students.config import StudentConfig
from plures_students.model import Student
from plures_students.text import BYTES
from safetensors.torch import save_file

TOKENS = 32
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "OMP_NUM_THREADS": "1",
    # A worker tied to one core would wait for whoever else is on it.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}


def text_student(rule: str, think: int = 0, seed: int = 0) -> Student:
    """A student of 32 tokens that nobody has trained, whose choices depend on what it saw."""
    torch.manual_seed(seed)
    student = Student(StudentConfig(Discrete(TOKENS), Discrete(TOKENS), rule, think=think))
    with torch.no_grad():
        student.embed.weight *= 8
        student.head.weight *= 4
    return student.eval().requires_grad_(False)


def byte_student() -> Student:
    """A student of bytes that nobody has trained."""
    torch.manual_seed(1)
    return Student(StudentConfig(Discrete(BYTES), Discrete(BYTES))).eval().requires_grad_(False)


def saved(folder: Path, student: Student) -> Path:
    """A checkpoint, with what `plures imitate` leaves of a training beside it."""
    save_checkpoint(folder, student, {"seconds_per_decision": None, "horizon": 1000})
    save_file({"average.head.bias": torch.zeros(3)}, folder / "training.safetensors")
    return folder


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.005)
