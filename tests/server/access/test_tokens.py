"""Tokens on the disk, and who is known by one."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from plures_server.access.door import Door
from plures_server.access.tokens import read_tokens
from plures_server.errors import InvalidArgument, Unauthenticated
from plures_server.main import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def token(file: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["token", *arguments, "--tokens", str(file)])


def new(file: Path, tenant: str) -> str:
    return token(file, "new", tenant).stdout.strip()


def test_a_token_is_told_once_and_kept_as_a_hash(file: Path) -> None:
    text = new(file, "acme")
    kept = file.read_text()
    assert text not in kept
    assert text.split("_")[2] not in kept
    assert file.stat().st_mode & 0o077 == 0, "nobody else reads the file"
    assert Door(file).tenant(f"Bearer {text}") == "acme"


def test_tokens_of_several_tenants_are_told_apart(file: Path) -> None:
    texts = {tenant: new(file, tenant) for tenant in ("acme", "globex")}
    second = new(file, "acme")
    door = Door(file)
    assert {tenant: door.tenant(f"Bearer {text}") for tenant, text in texts.items()} == {k: k for k in texts}
    assert door.tenant(f"bearer {second}") == "acme"


@pytest.mark.parametrize(
    "change", [str.upper, lambda t: t[:-1], lambda t: t + "x", lambda t: t.replace("_", "-"), lambda t: ""]
)
def test_what_is_not_quite_a_token_is_nobodys(file: Path, change) -> None:
    text = new(file, "acme")
    with pytest.raises(Unauthenticated, match="not known here"):
        Door(file).tenant(f"Bearer {change(text)}")


@pytest.mark.parametrize("authorization", ["", "Basic am9lOmpvZQ==", "Bearer"])
def test_a_call_without_a_token_is_refused(file: Path, authorization: str) -> None:
    new(file, "acme")
    with pytest.raises(Unauthenticated, match="no token came"):
        Door(file).tenant(authorization)


def test_the_id_of_a_token_is_no_token(file: Path) -> None:
    new(file, "acme")
    [id_] = read_tokens(file)
    with pytest.raises(Unauthenticated):
        Door(file).tenant(f"Bearer plures_{id_}_")


def test_a_door_sees_new_tokens_and_revoked_ones(file: Path) -> None:
    text = new(file, "acme")
    door = Door(file)
    other = new(file, "globex")
    assert door.tenant(f"Bearer {other}") == "globex"
    listed = token(file, "list").stdout.split()
    assert token(file, "revoke", listed[1]).exit_code == 0
    with pytest.raises(Unauthenticated):
        door.tenant(f"Bearer {text}")
    assert door.tenant(f"Bearer {other}") == "globex"


def test_a_file_that_is_damaged_later_leaves_the_tokens_as_they_were(file: Path) -> None:
    text = new(file, "acme")
    door = Door(file)
    file.write_text("acme")
    assert door.tenant(f"Bearer {text}") == "acme"
    with pytest.raises(InvalidArgument, match="tokens:1 is no token"):
        Door(file)


def test_bad_names_and_ids_are_refused_in_one_line(file: Path) -> None:
    refused = token(file, "new", "Acme~")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "tenant 'Acme~' is not a name" in refused.stderr
    assert "no token has the id 'none'" in token(file, "revoke", "none").stderr


def test_without_tokens_everyone_comes_in_and_nobody_is_a_tenant() -> None:
    assert Door().tenant("") == ""
