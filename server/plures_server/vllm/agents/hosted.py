"""What the server knows of a model that vLLM serves."""

import json
import re
import struct
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gymnasium.spaces import Discrete
from plures_students.checkpoint import CARD, WEIGHTS
from plures_students.spaces import space_to_json

from ...students import Hosted


@dataclass(frozen=True)
class LanguageShape:
    """Tokens in, tokens out."""

    rule: str
    tokens: int
    page_floats: int

    @cached_property
    def action_space(self) -> Discrete:
        return Discrete(self.tokens)

    @property
    def observation_space(self) -> Discrete:
        return self.action_space

    @property
    def actions(self) -> int:
        return self.tokens

    @property
    def observation_size(self) -> int | None:
        return self.tokens

    def to_json(self) -> dict[str, Any]:
        return {"rule": self.rule, "space": space_to_json(self.action_space), "page_floats": self.page_floats}


@dataclass(frozen=True)
class LanguageModel(Hosted):
    """A model of vLLM's under its name; `digest` is of its config, dtype and weights."""

    name: str
    shape: LanguageShape
    card: dict[str, Any] = field(repr=False)
    digest: str
    parameters: int = 0

    @property
    def config(self) -> LanguageShape:
        return self.shape


def student_name(model: str) -> str:
    """A name for a folder or a repository of models: `state-spaces/mamba-130m-hf` is mamba-130m-hf."""
    plain = re.sub(r"[^a-z0-9]+", "-", model.rstrip("/").rpartition("/")[2].lower()).strip("-")
    return (plain if plain[:1].isalpha() else f"model-{plain}")[:63].rstrip("-")


def is_student(model: str) -> bool:
    """Whether it is a checkpoint that `plures imitate` made."""
    config = Path(model) / "config.json"
    return config.is_file() and "rule" in json.loads(config.read_text())


def read_card(model: str) -> dict[str, Any]:
    """A checkpoint's card; empty for other models."""
    card = Path(model) / CARD
    return dict(json.loads(card.read_text())) if card.is_file() else {}


def count_parameters(model: str) -> int:
    """Of the safetensors in a folder; 0 where there are none."""
    return sum(map(_numbers_in, Path(model).glob(WEIGHTS if is_student(model) else "*.safetensors")))


def _numbers_in(file: Path) -> int:
    with open(file, "rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        header = json.loads(opened.read(length))
    total = 0
    for name, entry in header.items():
        size = 1
        for extent in entry["shape"] if name != "__metadata__" else [0]:
            size *= extent
        total += size
    return total
