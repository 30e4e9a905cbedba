"""How commands reach the server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..client import Client


@dataclass(frozen=True)
class Target:
    """What the command line says of the server: where it is, and files that say who calls and whom to trust."""

    address: str
    token_file: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def client(self) -> "Client":
        """A client of it; the token itself is not on command lines, which others can read."""
        from ..client import Client
        from ..credentials import Tls, read_token

        token = None if self.token_file is None else read_token(self.token_file)
        files = self.ca, self.certificate, self.key
        return Client(self.address, token=token, tls=Tls(*files) if any(files) else None)


@contextmanager
def connected() -> "Iterator[Client]":
    """A client of the server that `--server` names."""
    target: Target = click.get_current_context().find_root().obj
    with target.client() as client:
        yield client
