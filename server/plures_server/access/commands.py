"""`plures-server token`: make, list and revoke tokens. A server that runs sees the change."""

import json
from pathlib import Path
from typing import Any

import click

from .tokens import new_token, read_tokens, write_tokens

_FILE = click.option(
    "--tokens",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="PLURESD_TOKENS",
    required=True,
    help="The server's file of tokens.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def token() -> None:
    """Make, list and revoke the tokens by which tenants are known."""


@token.command()
@click.argument("tenant")
@_FILE
@_JSON
def new(tenant: str, file: Path, as_json: bool) -> None:
    """Print a new token of TENANT. It is told this once: what is kept is a hash."""
    text, made = new_token(tenant)
    write_tokens(file, read_tokens(file) | {made.id: made})
    _say({"tenant": tenant, "id": made.id, "token": text} if as_json else text)


@token.command("list")
@_FILE
@_JSON
def list_(file: Path, as_json: bool) -> None:
    """List tenants and the ids of their tokens."""
    known = read_tokens(file).values()
    if as_json:
        _say([{"tenant": one.tenant, "id": one.id} for one in known])
    else:
        _say("\n".join(f"{one.tenant} {one.id}" for one in known))


@token.command()
@click.argument("id_", metavar="ID")
@_FILE
@_JSON
def revoke(id_: str, file: Path, as_json: bool) -> None:
    """Forget the token with this ID; calls under way go on."""
    tokens = read_tokens(file)
    if tokens.pop(id_, None) is None:
        raise click.ClickException(f"no token has the id {id_!r}; `plures-server token list` has them")
    write_tokens(file, tokens)
    if as_json:
        _say({"revoked": id_})


def _say(what: Any) -> None:
    click.echo(what if isinstance(what, str) else json.dumps(what, indent=2))
