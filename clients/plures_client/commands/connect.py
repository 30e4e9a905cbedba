"""How commands reach the server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..client import Client


@contextmanager
def connected() -> "Iterator[Client]":
    """A client of the server that `--server` names."""
    from ..client import Client

    with Client(click.get_current_context().find_root().obj) as client:
        yield client
