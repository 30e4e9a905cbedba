"""Whether there is a vLLM here, and what to do when there is none."""

import importlib.util

from plures_kernels.errors import InvalidArgument


def require_vllm() -> None:
    """InvalidArgument, with the command to install it."""
    if importlib.util.find_spec("vllm") is None:
        raise InvalidArgument("vLLM is not installed here: pip install 'plures[vllm]' (GPU), or `make vllm` (CPU)")
