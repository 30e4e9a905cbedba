"""Named state in a real vLLM: whoever goes on from a name says what it would have said after the whole history."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plures_server.errors import DataFolderInUse
from plures_server.vllm.states import StateFolder

from .helpers import TOKENS, saved, text_student

RNG = np.random.default_rng(5)
A, B, C = ([int(t) for t in RNG.integers(TOKENS, size=size)] for size in (40, 24, 17))
STEPS = 16


class Talk:
    """Greedy calls to one engine; `wish` is the kv_transfer_params."""

    def __init__(self, llm: Any, folder: Path) -> None:
        self.llm = llm
        self.folder = folder

    def __call__(self, tokens: list[int], steps: int = STEPS, **wish: Any) -> list[int]:
        return list(self.many([(tokens, wish)], steps)[0].outputs[0].token_ids)

    def thinks(self, tokens: list[int], **wish: Any) -> torch.Tensor:
        """Log-probabilities after the tokens."""
        (output,) = self.many([(tokens, wish)], 1, logprobs=TOKENS)
        (first,) = output.outputs[0].logprobs
        return torch.tensor([first[token].logprob for token in range(TOKENS)])

    def many(self, calls: list[tuple[list[int], dict[str, Any]]], steps: int = STEPS, **params: Any) -> list[Any]:
        from vllm import SamplingParams

        wanted = [
            SamplingParams(
                temperature=0, max_tokens=steps, ignore_eos=True, detokenize=False,
                extra_args={"kv_transfer_params": wish} if wish else None, **params,
            )
            for _, wish in calls
        ]  # fmt: skip
        prompts = [{"prompt_token_ids": tokens} for tokens, _ in calls]
        return list(self.llm.generate(prompts, wanted, use_tqdm=False))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("student"), text_student("gated_delta"))


@pytest.fixture(scope="module")
def talks(engine: Callable[..., Any], model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Talk]:
    folder = tmp_path_factory.mktemp("states")

    def start(**extra: Any) -> Talk:
        connector = {
            "kv_connector": "NamedStateConnector",
            "kv_role": "kv_both",
            "kv_connector_extra_config": {"folder": str(folder), **extra},
        }
        return Talk(engine(model, kv_transfer_config=connector), folder)

    return start


@pytest.fixture(scope="module")
def talk(talks: Callable[..., Talk]) -> Talk:
    return talks()


def test_going_on_is_the_whole_history(talk: Talk) -> None:
    talk(A, 1, save="go", last="drop")
    assert talk(B, load="go") == talk(A + B) != talk(B)
    torch.testing.assert_close(talk.thinks(B, load="go"), talk.thinks(A + B), atol=1e-4, rtol=1e-4)


def test_the_token_that_was_said_last_belongs_to_the_history(talk: Talk) -> None:
    said = talk(A, 5, save="said")
    assert talk(B, load="said") == talk(A + said + B)
    torch.testing.assert_close(talk.thinks(B, load="said"), talk.thinks(A + said + B), atol=1e-4, rtol=1e-4)
    assert (talk.thinks(B, load="said") - talk.thinks(A + said[:-1] + B)).abs().max() > 1e-3


def test_a_name_loaded_twice_is_a_fork(talk: Talk) -> None:
    talk(A, 1, save="root", last="drop")
    both = talk.many([(B, {"load": "root", "save": "left"}), (C, {"load": "root", "save": "right"})])
    left, right = (list(output.outputs[0].token_ids) for output in both)
    assert talk(C, load="left") == talk(A + B + left + C)
    assert talk(B, load="right") == talk(A + C + right + B)


def test_many_go_on_at_once_by_one_token_each(talk: Talk) -> None:
    histories = {f"one-{n}": A[n:] for n in range(32)}
    talk.many([(tokens, {"save": name, "last": "drop"}) for name, tokens in histories.items()], 1)
    for token in B[:3]:
        talk.many([([token], {"load": name, "save": name, "last": "drop"}) for name in histories], 1)
    outputs = talk.many([([B[3]], {"load": name}) for name in histories])
    for tokens, output in zip(histories.values(), outputs, strict=True):
        assert list(output.outputs[0].token_ids) == talk(tokens + B[:4])


def test_a_history_may_be_longer_than_any_call(talk: Talk) -> None:
    for part in range(6):
        talk(A * 10, 1, save="long", last="drop", **({"load": "long"} if part else {}))
    talk(B, 1, load="long")  # waits until it is saved
    assert StateFolder(talk.folder).facts("long").tokens == 2400 > 1024


@pytest.mark.parametrize(
    "wish",
    [
        {"load": "nobody"},
        {"load": "../etc/passwd"},
        {"save": ".hidden"},
        {"sav": "typo"},
        {"save": "x", "last": "never"},
    ],
    ids=str,
)
def test_what_cannot_be_done_fails_alone(talk: Talk, wish: dict[str, str]) -> None:
    bad, good = talk.many([(B, wish), (B, {})])
    assert bad.outputs[0].finish_reason == "error"
    assert not bad.outputs[0].token_ids
    assert list(good.outputs[0].token_ids) == talk(B)


def test_who_asks_for_what_a_state_cannot_tell_is_not_answered_without_it(talk: Talk) -> None:
    talk(A, 1, save="untold")
    bad = talk.many([(B, {"load": "untold"})], 1, prompt_logprobs=1)[0]
    assert bad.outputs[0].finish_reason == "error"


def test_a_restart_a_merge_and_another_model(
    talk: Talk, talks: Callable[..., Talk], engine: Callable[..., Any], tmp_path: Path
) -> None:
    states = StateFolder(talk.folder)
    said = talk(A, 5, save="kept")
    talk(C, 1, load="kept", save="c", last="drop")
    with pytest.raises(DataFolderInUse, match="another server"), states.served():
        pass
    again = talks()
    assert again(B, load="kept") == again(A + said + B)
    states.fork("c", "twin")
    states.merge(["c", "twin"], "mean")
    assert again(B, load="mean") == again(A + said + C + B)
    states.export("kept", tmp_path / "kept.state")
    states.delete("kept")
    assert again.many([(B, {"load": "kept"})])[0].outputs[0].finish_reason == "error"
    states.import_("kept", tmp_path / "kept.state")
    assert again(B, load="kept") == again(A + said + B)
    (talk.folder / "torn.state").write_bytes((talk.folder / "kept.state").read_bytes()[:-64])
    assert again.many([(B, {"load": "torn"})])[0].outputs[0].finish_reason == "error"
