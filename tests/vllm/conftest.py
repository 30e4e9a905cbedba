"""A real vLLM on the CPU: one engine at a time."""

import gc
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .helpers import QUIET, TOKENS

if importlib.util.find_spec("vllm") is None:
    collect_ignore_glob = ["test_engine_*.py"]


@pytest.fixture(scope="module")
def engine() -> Iterator[Callable[..., Any]]:
    """Start vLLM's offline engine with a checkpoint; the one before is stopped first."""
    running: list[Any] = []

    def stop() -> None:
        while running:
            running.pop().llm_engine.engine_core.shutdown()
        gc.collect()

    def start(model: Path, **settings: Any) -> Any:
        from vllm import LLM

        stop()
        llm = LLM(
            model=str(model), config_format="plures", dtype="float32", skip_tokenizer_init=True, max_model_len=1024,
            enforce_eager=True, enable_prefix_caching=False, max_num_seqs=64, max_logprobs=TOKENS, **settings,
        )  # fmt: skip
        running.append(llm)
        return llm

    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        yield start
        stop()
