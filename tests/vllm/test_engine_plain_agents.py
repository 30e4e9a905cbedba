"""Agents of a model that is none of ours: a small Mamba-2 of Hugging Face's, compared with its own forward pass."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plures_client import Client

from .serving import command, environment, serving

TOKENS = 64
HEARD_TB = np.random.default_rng(0).integers(2, TOKENS, size=(12, 2)).astype(np.int32)


@pytest.fixture(scope="module")
def mamba(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    from transformers import Mamba2Config, Mamba2ForCausalLM

    sizes = {"hidden_size": 64, "state_size": 16, "num_hidden_layers": 2, "num_heads": 8, "head_dim": 16}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
    torch.manual_seed(0)
    model = Mamba2ForCausalLM(Mamba2Config(vocab_size=TOKENS, n_groups=1, chunk_size=16, **sizes, **ends)).eval()
    folder = tmp_path_factory.mktemp("models") / "tiny-mamba"
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture(scope="module")
def client(mamba: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    more = {"max_model_len": 512, "dtype": "float32", "skip_tokenizer_init": True, "enforce_eager": True}
    with serving(mamba[1], tmp_path_factory.mktemp("data"), more) as address, Client(address) as client:
        yield client


@torch.no_grad()
def thinks(model: Any, heard_TB: np.ndarray) -> torch.Tensor:
    """Log-probabilities [T, B, V] after each token, by one pass over all."""
    told_BTV: torch.Tensor = model(torch.from_numpy(heard_TB.T.copy()).long()).logits.log_softmax(-1)
    return told_BTV.transpose(0, 1)


def test_any_attention_free_model_has_agents(client: Client, mamba: tuple[Any, Path]) -> None:
    (student,) = client.students.list()
    assert (student.name, student.rule) == ("tiny-mamba", "Mamba2ForCausalLM")
    cohort = client.cohorts.start("joe", student="tiny-mamba", count=2)
    for heard_B, expected in zip(HEARD_TB, thinks(mamba[0], HEARD_TB), strict=True):
        told = cohort.act(observation=heard_B, want_log_probs=True).log_probs
        torch.testing.assert_close(torch.tensor(told), expected, atol=1e-4, rtol=1e-4)
    fork = cohort.fork("fork")
    cohort.snapshot("saved")
    prompt = [7, 8, 9]
    said = [piece for piece in fork.say(prompt, max_tokens=10, temperature=0) if piece.ordinal == 0]
    stream = [*HEARD_TB[:, 0].tolist(), *prompt]
    for _ in range(10):
        stream.append(int(thinks(mamba[0], np.array([stream], np.int32).T)[-1, 0].argmax()))
    assert [token for piece in said for token in piece.tokens] == stream[-10:]
    next_B = np.array([10, 11], np.int32)
    expected = thinks(mamba[0], np.concatenate([HEARD_TB, next_B[None]]))[-1]
    for of in (cohort, client.snapshots.restore("saved", "again")):
        told = of.act(observation=next_B, want_log_probs=True).log_probs
        torch.testing.assert_close(torch.tensor(told), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["hybrid", "transformer"])
def test_a_model_with_attention_is_refused_before_anything_is_started(tmp_path: Path, kind: str) -> None:
    from transformers import LlamaConfig, Qwen3NextConfig

    sizes = {"vocab_size": TOKENS, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2}
    make, name = {
        "hybrid": (Qwen3NextConfig, "Qwen3NextForCausalLM"),
        "transformer": (LlamaConfig, "LlamaForCausalLM"),
    }[kind]
    make(**sizes, num_attention_heads=2, num_key_value_heads=2, architectures=[name]).save_pretrained(tmp_path)
    more = {"load_format": "dummy", "skip_tokenizer_init": True, "dtype": "float32"}
    said = subprocess.run(
        command(tmp_path, tmp_path / "data", more), env=environment(), capture_output=True, text=True, timeout=120
    )
    assert (said.returncode, said.stdout) == (1, "")
    assert f"plures-server: {tmp_path} has attention" in said.stderr
    assert "plures-vllm serve" in said.stderr
