"""Who steps the agents of a server, by its settings."""

import pytest
from plures_kernels.errors import InvalidArgument
from plures_server.hosting import _arguments
from plures_server.vllm.agents.hosted import student_name


def test_arguments_for_vllm_are_a_json_object() -> None:
    assert _arguments(None) == {}
    assert _arguments('{"max_num_seqs": 8}') == {"max_num_seqs": 8}
    for wrong in ("max_num_seqs=8", "[1]"):
        with pytest.raises(InvalidArgument, match="--vllm takes a JSON object"):
            _arguments(wrong)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("students/poet", "poet"),
        ("state-spaces/mamba-130m-hf/", "mamba-130m-hf"),
        ("7B_Mamba.v2", "model-7b-mamba-v2"),
        ("x" * 80, "x" * 63),
    ],
)
def test_a_model_goes_by_the_name_of_its_folder(model: str, name: str) -> None:
    assert student_name(model) == name
