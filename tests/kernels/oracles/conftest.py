"""Rules as others wrote them, imported no earlier than a test asks for one: each takes seconds."""

import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def load() -> Callable[[str], ModuleType]:
    """Import a module of theirs by its name."""

    def load(name: str) -> ModuleType:
        if name.startswith("fla.") and sys.platform != "linux":
            pytest.skip("flash-linear-attention needs Triton, which exists for Linux only")
        # On import they complain of a missing GPU, and torch of the decorators they use; neither is about us.
        with warnings.catch_warnings(action="ignore"):
            return import_module(name)

    return load
