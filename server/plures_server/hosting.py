"""Who steps the agents of a server: this process, or a vLLM that it starts."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from plures_kernels.errors import PluresError

from .configuring import device_of, durable_config
from .durable.journals import Journals
from .errors import InvalidArgument
from .makings import Makings
from .settings import Settings
from .students import Students, load_students
from .vllm.installed import require_vllm


@dataclass(frozen=True)
class Hosting:
    """What the engine is made of. `folder`: where more students can be loaded from; None where there is one model."""

    students: Students
    device: torch.device
    journals: Journals
    folder: Path | None
    makings: Makings = field(default_factory=Makings)


@asynccontextmanager
async def hosting(settings: Settings, stop: Callable[[PluresError], None]) -> AsyncIterator[Hosting]:
    """Start what steps agents, and stop it at the end. `stop` is called, with the reason, should it end by itself."""
    if settings.engine.kind == "vllm":
        async with _vllm(settings, stop) as hosting:
            yield hosting
        return
    device = device_of(settings.device)
    students = load_students(settings.students, device)
    yield Hosting(students, device, Journals(settings.data / "durable", durable_config(settings)), settings.students)


@asynccontextmanager
async def _vllm(settings: Settings, stop: Callable[[PluresError], None]) -> AsyncIterator[Hosting]:
    require_vllm()
    from .vllm.agents.start import start

    more, folder = _arguments(settings.engine.vllm), settings.data / "states"
    assert settings.engine.model is not None
    host = await asyncio.to_thread(start, settings.engine.model, folder, more)
    asyncio.wrap_future(host.running.watch.died).add_done_callback(lambda died: stop(died.result()))
    try:
        # Logs could not be replayed to the bit: vLLM rounds by the batch that it happens to make.
        yield Hosting(Students([host.student]), torch.device("cpu"), Journals(), None, host.makings)
    finally:
        await asyncio.to_thread(host.running.close)


def _arguments(text: str | None) -> dict[str, Any]:
    try:
        form = json.loads(text or "{}")
    except ValueError as error:
        raise InvalidArgument(f"--vllm takes a JSON object of vLLM's arguments: {error}") from error
    if not isinstance(form, dict):
        raise InvalidArgument(f"--vllm takes a JSON object of vLLM's arguments, not {text}")
    return form
