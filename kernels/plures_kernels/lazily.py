"""Functions whose module is imported at their first call.

Triton is slow to import and does not exist on every system.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def lazily(module: str, name: str, package: str) -> Callable[..., Any]:
    """The function `name` of the module, relative to the package; importing waits until it is called."""

    def call(*arguments: Any) -> Any:
        return getattr(import_module(module, package), name)(*arguments)

    return call
