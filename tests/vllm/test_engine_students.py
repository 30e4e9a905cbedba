"""A checkpoint gives vLLM the same numbers as our engine: tokens alike, log-probabilities to rounding."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from plures_students.model import Student
from plures_students.tokens import perceived

from .helpers import TOKENS, saved, text_student

STEPS = 200
PROMPTS = [[int(t) for t in np.random.default_rng(n).integers(TOKENS, size=1 + n * 37 % 90)] for n in range(64)]


def lived(student: Student, prompts: list[list[int]], steps: int) -> tuple[list[list[int]], torch.Tensor]:
    """What our engine says to each prompt, then greedily to itself; log-probabilities after each token, [B, T, V]."""
    rows, streams = len(prompts), [list(prompt) for prompt in prompts]
    pages, slots, log_probs = torch.zeros(rows, student.config.page_floats), torch.arange(rows), []
    for place in range(max(map(len, prompts)) + steps - 1):
        token = torch.tensor([stream[place] if place < len(stream) else 0 for stream in streams])
        logits = student.step(pages, slots, slots, perceived(token, torch.full((rows,), place == 0)))
        log_probs.append(logits.log_softmax(-1))
        for stream, choice in zip(streams, logits.argmax(-1).tolist(), strict=True):
            if place == len(stream) - 1:
                stream.append(choice)
    said = [stream[len(prompt) : len(prompt) + steps] for stream, prompt in zip(streams, prompts, strict=True)]
    return said, torch.stack(log_probs, dim=1)


def as_tensor(steps: list[dict[int, Any]]) -> torch.Tensor:
    return torch.tensor([[step[token].logprob for token in range(TOKENS)] for step in steps])


@pytest.fixture(scope="module", params=[("gated_delta", 0), ("momentum", 1)], ids=["gated_delta", "thinking-momentum"])
def pair(
    request: pytest.FixtureRequest, engine: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Student, Any]:
    student = text_student(*request.param)
    return student, engine(saved(tmp_path_factory.mktemp("student"), student))


def generate(llm: Any, prompts: list[list[int]], **params: Any) -> list[Any]:
    from vllm import SamplingParams

    wanted = SamplingParams(temperature=0, ignore_eos=True, detokenize=False, **params)
    return list(llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], wanted, use_tqdm=False))


@pytest.mark.parametrize("batch", [1, 64])
def test_greedy_tokens_and_log_probabilities_are_ours(pair: tuple[Student, Any], batch: int) -> None:
    student, llm = pair
    prompts = PROMPTS[:batch]
    outputs = generate(llm, prompts, max_tokens=STEPS, logprobs=TOKENS)
    said, log_probs_BTV = lived(student, prompts, STEPS)
    assert [list(output.outputs[0].token_ids) for output in outputs] == said
    for prompt, output, log_probs_TV in zip(prompts, outputs, log_probs_BTV, strict=True):
        ours = log_probs_TV[len(prompt) - 1 :][:STEPS]
        torch.testing.assert_close(as_tensor(output.outputs[0].logprobs), ours, atol=1e-4, rtol=1e-4)


def test_a_prompt_is_read_as_our_engine_lives_it(pair: tuple[Student, Any]) -> None:
    student, llm = pair
    prompt = [int(t) for t in np.random.default_rng(1).integers(TOKENS, size=300)]
    (output,) = generate(llm, [prompt], max_tokens=1, prompt_logprobs=TOKENS)
    _, log_probs_BTV = lived(student, [prompt], 1)
    torch.testing.assert_close(as_tensor(output.prompt_logprobs[1:]), log_probs_BTV[0, :-1], atol=1e-4, rtol=1e-4)


def test_what_is_said_depends_on_what_was_seen_long_ago(pair: tuple[Student, Any]) -> None:
    """Else equal tokens would say nothing about states."""
    tail = PROMPTS[5][:20]
    _, log_probs_BTV = lived(pair[0], [[3] * 20 + tail, [9] * 20 + tail], 1)
    assert (log_probs_BTV[0, -1] - log_probs_BTV[1, -1]).abs().max() > 0.01
