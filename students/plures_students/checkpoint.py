"""A student on disk: a directory of `config.json`, `model.safetensors` and `card.json`. Never a pickle."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from plures_kernels.errors import InvalidArgument
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .config import StudentConfig
from .errors import CheckpointError
from .model import Student
from .writing import replacing

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "card.json"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded student, its card, and the SHA-256 (hex) of its weights file."""

    student: Student
    card: dict[str, Any]
    digest: str


def save_checkpoint(directory: Path, student: Student, card: dict[str, Any]) -> None:
    """Write a student; each file appears whole or not at all."""
    weights = {name: tensor.detach().contiguous() for name, tensor in student.state_dict().items()}
    forms = {CONFIG: student.config.to_json(), CARD: card}
    files = {WEIGHTS: save(weights)} | {
        name: f"{json.dumps(form, indent=2)}\n".encode() for name, form in forms.items()
    }
    for name, data in files.items():
        with replacing(directory / name) as temporary:
            temporary.write_bytes(data)


def load_checkpoint(directory: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a student; raise CheckpointError, naming file and tensor, for anything but a whole, fitting checkpoint."""
    config_form, card = (_read_json(directory / name) for name in (CONFIG, CARD))
    try:
        config = StudentConfig.from_json(config_form)
    except InvalidArgument as error:
        raise CheckpointError(f"{directory / CONFIG}: {error}") from error
    with torch.device("meta"):
        student = Student(config)
    weights = _read_weights(directory / WEIGHTS, {name: tuple(t.shape) for name, t in student.state_dict().items()})
    student.load_state_dict(weights, assign=True)
    digest = hashlib.sha256((directory / WEIGHTS).read_bytes()).hexdigest()
    return Checkpoint(student.to(device).eval().requires_grad_(False), card, digest)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        form = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(form, dict):
        raise CheckpointError(f"{path} holds a {type(form).__name__}, not a JSON object")
    return form


def _read_weights(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}") from error
    for kind, names in (("misses", shapes.keys() - found.keys()), ("has unknown", found.keys() - shapes.keys())):
        if names:
            raise CheckpointError(f"{path} {kind} tensors {', '.join(sorted(names))}")
    for name, shape in shapes.items():
        tensor = found[name]
        if tuple(tensor.shape) != shape or tensor.dtype != torch.float32:
            raise CheckpointError(
                f"{path}: {name} is {tensor.dtype} {list(tensor.shape)}, the config wants float32 {list(shape)}"
            )
        if not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{path}: {name} holds values that are not finite")
    return found
