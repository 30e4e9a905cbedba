"""How vLLM reads a checkpoint of Plures, and what it must be told to serve one.

A worker of vLLM imports this before it looks through all that is imported for kernels to put others in the place of,
and that fails on llvmlite. So whatever needs numba, and all of Plures does, is imported by those who call.
"""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import PretrainedConfig
from vllm.config import VllmConfig
from vllm.model_executor.models.config import MambaModelConfig
from vllm.transformers_utils.config import register_config_parser
from vllm.transformers_utils.config_parser_base import ConfigParserBase

from .plugin import ARCHITECTURE

FORMAT = "plures"
LONGEST = 1 << 20
"""Tokens of a call, when --max-model-len says nothing; the state has no limit of its own."""


class StudentLanguageConfig(PretrainedConfig):
    """A student's config as vLLM wants it; `student` is the form that `StudentConfig.to_json` gives."""

    model_type = "plures_student"

    def __init__(self, student: dict[str, Any] | None = None, **others: Any) -> None:
        self.student = student
        if student is not None:
            from plures_students.config import StudentConfig
            from plures_students.tokens import vocabulary

            config = StudentConfig.from_json(student)
            self.vocab_size, self.hidden_size = vocabulary(config), config.width
            self.num_attention_heads = config.heads
        # A page holds the states of all layers, so that to vLLM there is one.
        self.num_hidden_layers, self.max_position_embeddings = 1, LONGEST
        super().__init__(**others)


@register_config_parser(FORMAT)
class CheckpointParser(ConfigParserBase):
    """Reads the `config.json` that `plures imitate` writes."""

    def parse(
        self, model: str | Path, trust_remote_code: bool, revision: str | None = None, code_revision: str | None = None,
        **others: Any,
    ) -> tuple[dict[str, Any], PretrainedConfig]:  # fmt: skip
        form = json.loads((Path(model) / "config.json").read_text())
        config = StudentLanguageConfig(form, architectures=[ARCHITECTURE], dtype="float32")
        return config.to_dict(), config


class StudentModelConfig(MambaModelConfig):
    """How vLLM is to be set up for a student; refuses what would not give the student's own numbers."""

    @classmethod
    def verify_and_update_config(cls, vllm_config: VllmConfig) -> None:
        from plures_kernels.errors import InvalidArgument

        model, parallel = vllm_config.model_config, vllm_config.parallel_config
        if model.dtype != torch.float32:
            raise InvalidArgument(f"students compute in float32, not {model.dtype}; add --dtype float32")
        if parallel.world_size != 1:
            raise InvalidArgument(f"a student is served by one worker, not {parallel.world_size}; start more servers")
        super().verify_and_update_config(vllm_config)
