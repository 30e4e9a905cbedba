"""How commands fail: one line that says what was wrong, and a nonzero exit."""

from collections.abc import Callable
from errno import EPIPE
from functools import wraps
from typing import ParamSpec, TypeVar

import click
from plures_kernels.errors import PluresError

_NO_MEMORY = "memory ran out; ask for less at once (a smaller --batch or --length, fewer lives), or free some"
P = ParamSpec("P")
T = TypeVar("T")


def fails_in_words(command: Callable[P, T]) -> Callable[P, T]:
    """Let a PluresError end the command as click's own errors do, without a traceback.

    So do files and folders that cannot be read or written, and too little memory.
    """

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except PluresError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            # Who reads standard output may have seen enough: click knows what to do.
            if error.errno == EPIPE:
                raise
            said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise click.ClickException(said) from error
        except MemoryError as error:
            raise click.ClickException(f"{_NO_MEMORY}: {error}") from error
        except RuntimeError as error:
            # Of torch; there is no class of its own for it on a CPU.
            if "can't allocate memory" not in str(error):
                raise
            raise click.ClickException(_NO_MEMORY) from error

    return wrapped
