"""A vLLM for agents: what it is told, and what is refused before it starts."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from vllm import EngineArgs
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.executor import Executor

from ...errors import InvalidArgument
from ..config import FORMAT
from .hosted import is_student

# What vLLM logs goes where this server's own log goes; standard output is for the address.
QUIET = {"VLLM_NO_USAGE_STATS": "1", "VLLM_CONFIGURE_LOGGING": "0"}
STUDENT_LENGTH = 8192
"""Tokens of one call to a student; its state has no limit of its own, and vLLM keeps room for a call of that length."""


def start_engine(model: str, states: Path, more: dict[str, Any]) -> LLMEngine:
    """An engine in processes of its own, with named states in a folder. See `Running`."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if unknown := set(more) - {entry.name for entry in fields(EngineArgs)}:
        raise InvalidArgument(f"--vllm has {sorted(unknown)[0]!r}, which is none of vLLM's arguments")
    return _started(EngineArgs(**{**_arguments(model, states), **more}), model)


def _arguments(model: str, states: Path) -> dict[str, Any]:
    from vllm.config import KVTransferConfig

    named = KVTransferConfig(
        kv_connector="NamedStateConnector",
        kv_role="kv_both",
        # A cohort ends with the server, and what is to outlive it is a snapshot, so that nothing waits for the disk.
        kv_connector_extra_config={"folder": str(states), "sync_seconds": 60},
    )
    given = {"model": model, "enable_prefix_caching": False, "max_logprobs": -1, "max_num_seqs": 64}
    given |= {"kv_transfer_config": named}
    if not is_student(model):
        return given
    ours = {"config_format": FORMAT, "dtype": "float32", "enforce_eager": True, "max_model_len": STUDENT_LENGTH}
    return given | ours | {"skip_tokenizer_init": not (Path(model) / "tokenizer.json").exists()}


def _started(arguments: EngineArgs, model: str) -> LLMEngine:
    with _explained(model):
        config = arguments.create_engine_config()
    if not config.model_config.is_attention_free:
        raise InvalidArgument(
            f"{model} has attention, which reads keys and values of the whole history, and no state of an agent holds "
            "those; take an attention-free model, or serve it with `plures-vllm serve` and prefix caching"
        )
    with _explained(model), _without_main():
        return LLMEngine(config, Executor.get_class(config), log_stats=False, multiprocess_mode=True)


@contextmanager
def _explained(model: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, RuntimeError, OSError) as error:
        raise InvalidArgument(f"vLLM does not serve {model}, and what it logs says why: {error}") from error


@contextmanager
def _without_main() -> Iterator[None]:
    """Start processes that do not import the program that runs: it imports numba, which vLLM's workers cannot bear."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program
