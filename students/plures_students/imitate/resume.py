"""A training on disk, whole, so that it goes on with the same bits: `training.safetensors`, no pickle."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plures_kernels.errors import PluresError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..writing import replacing
from .trainer import Course, Trainer

TENSORS = "training.safetensors"


class ResumeError(PluresError):
    """A training that cannot go on: nothing there, damaged, or begun with other settings or data."""


def save_training(directory: Path, trainer: Trainer, identity: dict[str, Any]) -> None:
    """Write weights, optimiser and course. `identity` says what the training is of; resuming compares it."""
    form = {"identity": identity, "course": asdict(trainer.course)}
    # The course travels inside the tensors' file: both are replaced as one.
    with replacing(directory / TENSORS) as temporary:
        save_file(_tensors(trainer), temporary, metadata={"training": json.dumps(form)})


def load_training(directory: Path, trainer: Trainer, identity: dict[str, Any]) -> None:
    """Put a trainer where the saved one stood; raise ResumeError when there is none or it is of something else."""
    path = directory / TENSORS
    try:
        with safe_open(path, framework="pt") as file:
            form = json.loads(file.metadata()["training"])
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ResumeError(f"{path} holds no training to resume: {error}; leave out --resume to begin one") from error
    _compare(path, form["identity"], json.loads(json.dumps(identity)))
    _restore(trainer, found)
    trainer.course = Course(**form["course"])


def _compare(path: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name in saved.keys() | wanted.keys():
        if saved.get(name) != wanted.get(name):
            raise ResumeError(
                f"{path} was begun with {name} {saved.get(name)!r}, not {wanted.get(name)!r}; "
                "resume it with what it was begun with, or name another --out"
            )


def _networks(trainer: Trainer) -> dict[str, Any]:
    return {"student": trainer.student, "average": trainer.average, "best": trainer.best}


def _tensors(trainer: Trainer) -> dict[str, Tensor]:
    tensors = {
        f"{kind}.{name}": tensor.detach().contiguous()
        for kind, network in _networks(trainer).items()
        for name, tensor in network.state_dict().items()
    }
    if trainer.rehearsal is not None:
        tensors |= {f"rehearsal.{name}": tensor for name, tensor in trainer.rehearsal.state().items()}
    for place, moments in trainer.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{place}.{name}": tensor for name, tensor in moments.items()}
    return tensors


def _restore(trainer: Trainer, tensors: dict[str, Tensor]) -> None:
    for kind, network in _networks(trainer).items():
        network.load_state_dict(_under(tensors, f"{kind}."))
    if trainer.rehearsal is not None:
        trainer.rehearsal.load_state(_under(tensors, "rehearsal."))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, place, moment = name.split(".")
            state.setdefault(int(place), {})[moment] = tensor
    groups = trainer.optimiser.state_dict()["param_groups"]
    trainer.optimiser.load_state_dict({"state": state, "param_groups": groups})


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
