"""`plures snapshots`: the server's snapshot folder, and snapshots on their way between machines."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .connect import connected
from .output import human_bytes, json_option, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from ..records import SnapshotInfo


@click.group()
def snapshots() -> None:
    """List, delete, download and upload snapshots."""


@snapshots.command("list")
@json_option
def list_snapshots(as_json: bool) -> None:
    """List all snapshots."""
    with connected() as client:
        _show(client.snapshots.list(), as_json)


@snapshots.command()
@click.argument("name")
@json_option
def delete(name: str, as_json: bool) -> None:
    """Remove snapshot NAME."""
    with connected() as client:
        client.snapshots.delete(name)
    print_json({"deleted": name}) if as_json else click.echo(f"{name} deleted")


@snapshots.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def download(name: str, folder: Path, as_json: bool) -> None:
    """Copy snapshot NAME into the new FOLDER."""
    with connected() as client, progress_bar("downloading", hidden=as_json) as on_progress:
        target = client.snapshots.download(name, folder, on_progress=on_progress)
    print_json({"folder": str(target)}) if as_json else click.echo(f"{name} is in {target}")


@snapshots.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("name", required=False)
@json_option
def upload(folder: Path, name: str | None, as_json: bool) -> None:
    """Give the server the snapshot in FOLDER, as NAME or by the folder's own name."""
    with connected() as client, progress_bar("uploading", hidden=as_json) as on_progress:
        uploaded = client.snapshots.upload(folder.resolve(), name, on_progress=on_progress)
    _show([uploaded], as_json)


def _show(found: "list[SnapshotInfo]", as_json: bool) -> None:
    if as_json:
        return print_json(found)
    return print_table(
        ["snapshot", "cohort", "student", "alive", "of", "size", "SHA-256"],
        [(s.name, s.cohort, s.student, s.agents, s.count, human_bytes(s.bytes), s.digest[:12]) for s in found],
    )
