"""What vLLM is not to be started with, said before it starts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from gymnasium.spaces import Discrete
from plures_kernels.errors import InvalidArgument
from plures_students.config import StudentConfig
from plures_students.model import Student

from .helpers import saved, text_student


def groups(*specs: Any) -> SimpleNamespace:
    return SimpleNamespace(kv_cache_groups=[SimpleNamespace(kv_cache_spec=spec, layer_names=["0"]) for spec in specs])


def config(prefix_caching: bool = False, workers: int = 1, drafts: int = 0, **model: Any) -> SimpleNamespace:
    return SimpleNamespace(
        model_config=SimpleNamespace(model="hybrid", **model),
        cache_config=SimpleNamespace(enable_prefix_caching=prefix_caching),
        parallel_config=SimpleNamespace(world_size=workers),
        num_speculative_tokens=drafts,
    )


def recurrent() -> Any:
    from vllm.v1.kv_cache_interface import MambaSpec

    return MambaSpec(block_size=16, shapes=((2, 3),), dtypes=(torch.float32,))


def require(vllm_config: Any, *specs: Any) -> int:
    from plures_server.vllm.states.connector import _require_recurrent

    return _require_recurrent(vllm_config, groups(*specs))


def test_a_model_whose_memory_is_one_recurrent_state_is_taken() -> None:
    assert require(config(), recurrent()) == 24


def test_a_hybrid_is_refused_with_the_reason() -> None:
    from vllm.v1.kv_cache_interface import FullAttentionSpec

    attention = FullAttentionSpec(block_size=16, num_kv_heads=1, head_size=8, dtype=torch.float32)
    with pytest.raises(InvalidArgument, match=r"hybrid keeps MambaSpec, FullAttentionSpec.*prefix caching"):
        require(config(), recurrent(), attention)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"prefix_caching": True}, "--no-enable-prefix-caching"),
        ({"workers": 2}, "one worker, not 2"),
        ({"drafts": 3}, "speculative"),
    ],
    ids=str,
)
def test_what_does_not_go_with_named_states_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        require(config(**wrong), recurrent())


def test_a_student_that_is_no_language_model_is_refused(tmp_path: Path) -> None:
    from plures_server.vllm.config import CheckpointParser

    bandit = saved(tmp_path, Student(StudentConfig(Discrete(1), Discrete(2))))
    with pytest.raises(InvalidArgument, match="sees and says the same tokens"):
        CheckpointParser().parse(bandit, trust_remote_code=False)


def test_a_checkpoint_of_another_family_is_refused(tmp_path: Path) -> None:
    from plures_server.vllm.config import CheckpointParser

    (tmp_path / "config.json").write_text('{"model_type": "llama", "hidden_size": 128}')
    with pytest.raises(InvalidArgument, match="a student config has the entries"):
        CheckpointParser().parse(tmp_path, trust_remote_code=False)


def test_students_are_not_served_in_another_dtype_or_on_several_workers() -> None:
    from plures_server.vllm.config import StudentModelConfig

    for wrong, words in (
        (config(dtype=torch.bfloat16), "--dtype float32"),
        (config(workers=2, dtype=torch.float32), "one worker"),
    ):
        with pytest.raises(InvalidArgument, match=words):
            StudentModelConfig.verify_and_update_config(wrong)


def test_other_weights_are_another_model(tmp_path: Path) -> None:
    from plures_server.vllm.states.fingerprint import fingerprint

    def of(folder: Path, dtype: torch.dtype = torch.float32) -> str:
        form = SimpleNamespace(to_dict=lambda: {"hidden_size": 32, "_name_or_path": str(folder)})
        model = SimpleNamespace(model=str(folder), dtype=dtype, quantization=None, revision=None, hf_config=form)
        return fingerprint(SimpleNamespace(model_config=model))

    one, other = (saved(tmp_path / str(seed), text_student("gated_delta", seed=seed)) for seed in (0, 1))
    again = saved(tmp_path / "again", text_student("gated_delta", seed=0))
    assert of(one) == of(again) != of(other)
    assert of(one) != of(one, torch.bfloat16)
