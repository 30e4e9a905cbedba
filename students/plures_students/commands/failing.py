"""How commands fail: one line that says what was wrong, and a nonzero exit."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import click
from plures_kernels.errors import PluresError

P = ParamSpec("P")
T = TypeVar("T")


def fails_in_words(command: Callable[P, T]) -> Callable[P, T]:
    """Let a PluresError end the command as click's own errors do, without a traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except PluresError as error:
            raise click.ClickException(str(error)) from error

    return wrapped
