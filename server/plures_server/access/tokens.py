"""Bearer tokens: what is kept of one is its SHA-256, in a file of one line a token.

A token is 256 random bits behind a public id. Nothing that can be guessed is hashed, so a fast hash does as well as a
slow one.
"""

import hashlib
import hmac
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidArgument
from ..names import check_tenant

_HEAD = "# Plures tokens: tenant, id, SHA-256 of the token. Made by `plures-server token new`.\n"
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Token:
    """What is known of a token."""

    tenant: str
    id: str
    sha256: str


def new_token(tenant: str) -> tuple[str, Token]:
    """A token as its holder keeps it, and what is known of it here."""
    identifier = secrets.token_hex(6)
    text = f"plures_{identifier}_{secrets.token_urlsafe(32)}"
    return text, Token(check_tenant(tenant), identifier, _digest(text))


def read_tokens(file: Path) -> dict[str, Token]:
    """Those of a file, by id; raise InvalidArgument for a line that is none. A file that is not there has none."""
    try:
        lines = file.read_text().splitlines() if file.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"the tokens in {file} cannot be read: {error}") from error
    tokens = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            token = _parsed(line, f"{file}:{number}")
            tokens[token.id] = token
    return tokens


def write_tokens(file: Path, tokens: dict[str, Token]) -> None:
    """Replace the file at once, so that a server that reads it sees all or what was there before."""
    lines = [f"{token.tenant} {token.id} {token.sha256}\n" for token in tokens.values()]
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with open(descriptor, "w") as new:
        new.write(_HEAD + "".join(lines))
        new.flush()
        os.fsync(descriptor)
    os.replace(name, file)


def tenant_of_token(tokens: dict[str, Token], text: str) -> str | None:
    """Whose token it is; None when it is nobody's. Takes as long for one as for the other."""
    parts = text.split("_", 2)
    known = tokens.get(parts[1]) if len(parts) == 3 else None
    # A token that is not known is compared as well, so that time tells nothing of which ids there are.
    same = hmac.compare_digest(_digest(text), known.sha256 if known else _NOBODY)
    return known.tenant if known and same else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _parsed(line: str, where: str) -> Token:
    parts = line.split()
    if len(parts) != 3 or len(parts[2]) != 64:
        raise InvalidArgument(f"{where} is no token; a line has a tenant, an id and a SHA-256 in hex")
    return Token(check_tenant(parts[0]), parts[1], parts[2])
