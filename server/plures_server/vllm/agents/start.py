"""A vLLM and what the engine is made with, so that it steps agents."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...crew import Crew
from ...errors import PoolFull
from ...makings import Makings
from ...names import check_student
from ...pages import ColdConfig, Pages
from ...students import Hosted
from ...telemetry.meter import Meters
from ..states import StateFolder
from .hosted import LanguageModel, LanguageShape, count_parameters, is_student, read_card, student_name
from .places import Layout, NamedPlaces, published
from .running import READ, Call, Running
from .stepper import VllmStepper

TRIAL = "newborn"
"""State of a first call, which shows what the states of this model are like."""


@dataclass(frozen=True)
class Host:
    """A running vLLM, the student that it is to the server, and the folder of its agents' states."""

    running: Running
    student: LanguageModel
    folder: StateFolder
    layout: Layout

    @property
    def makings(self) -> Makings:
        return Makings(self._pages, self._stepper)

    def _pages(
        self, student: Hosted, device: torch.device, device_bytes: int, cold: ColdConfig, students: int, most: int
    ) -> Pages:
        if (fit := min(device_bytes // student.page_bytes, most)) < 1:
            raise PoolFull(f"a state of {student.name!r} takes {student.page_bytes:,} bytes; give more --memory-gb")
        return Pages(NamedPlaces(fit + 1, self.folder, self.layout, self.running.watch.require_alive))

    def _stepper(
        self, student: Hosted, pages: Pages, crew: Crew, tiles: tuple[int, ...], meters: Meters
    ) -> VllmStepper:
        return VllmStepper(self.running, student, pages, crew, meters)


def start(model: str, states: Path, more: dict[str, Any]) -> Host:
    """Start vLLM with a checkpoint or another attention-free model; what it refuses is raised as it says it."""
    running = Running(model, states, more)
    try:
        folder = StateFolder(states)
        (answer,) = running.ask([Call([0], None, TRIAL, READ)])
        layout = Layout.of(published(folder, TRIAL, answer.version, running.watch.require_alive))
        return Host(running, _student(model, running, layout), folder, layout)
    except BaseException:
        running.close()
        raise


def _student(model: str, running: Running, layout: Layout) -> LanguageModel:
    card, config = read_card(model), running.config
    rule = config.hf_config.student["rule"] if is_student(model) else config.architecture
    shape = LanguageShape(rule, config.get_vocab_size(), layout.page_floats)
    digest = hashlib.sha256(layout.model.encode()).hexdigest()
    return LanguageModel(check_student(student_name(model)), shape, card, digest, count_parameters(model))
