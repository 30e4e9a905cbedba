"""`plures queue`: look at a work queue, read its results, remove it."""

from typing import TYPE_CHECKING

import click

from .connect import connected
from .output import Row, json_lines_option, json_option, print_json, print_json_line, print_table

if TYPE_CHECKING:
    from ..items import ResultBatch
    from ..records import QueueStats


@click.group()
def queue() -> None:
    """Look at work queues."""


@queue.command("list")
@json_option
def list_queues(as_json: bool) -> None:
    """List all queues."""
    with connected() as client:
        found = client.queues.list()
    print_json(found) if as_json else _show(found)


@queue.command()
@click.argument("name")
@json_option
def stats(name: str, as_json: bool) -> None:
    """Show what has become of the items of queue NAME."""
    with connected() as client:
        found = client.queue(name).stats()
    if as_json:
        return print_json(found)
    _show([found])
    return click.echo(f"last error: {found.last_error}") if found.last_error else None


@queue.command()
@click.argument("name")
@click.option("--follow", is_flag=True, help="Wait for more results, until interrupted.")
@json_lines_option
def results(name: str, follow: bool) -> None:
    """Print the results of queue NAME, one line of JSON an item."""
    with connected() as client:
        for batch in client.queue(name).results(wait=follow):
            _print_batch(batch)


@queue.command()
@click.argument("name")
@json_option
def pause(name: str, as_json: bool) -> None:
    """Begin nothing more of queue NAME."""
    with connected() as client:
        client.queue(name).pause()
    _done({"paused": name}, as_json)


@queue.command()
@click.argument("name")
@json_option
def resume(name: str, as_json: bool) -> None:
    """Go on with queue NAME."""
    with connected() as client:
        client.queue(name).resume()
    _done({"resumed": name}, as_json)


@queue.command()
@click.argument("name")
@click.option("--submission", default=None, help="The one whose items are cancelled.  [default: all]")
@json_option
def cancel(name: str, submission: str | None, as_json: bool) -> None:
    """Take items off queue NAME, waiting and under way."""
    with connected() as client:
        cancelled = client.queue(name).cancel(submission)
    _done({"cancelled": cancelled}, as_json, f"{cancelled} items cancelled")


@queue.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Of those given up last.")
@json_lines_option
def dead(name: str, limit: int) -> None:
    """Print the items of queue NAME that were given up, one line of JSON a lot."""
    with connected() as client:
        for letter in client.queue(name).dead(limit):
            items = letter.items.item.tolist() if letter.items else None
            task = letter.items.task if letter.items else None
            print_json_line({"task": task, "items": items, "count": letter.count, "error": letter.error})


@queue.command()
@click.argument("name")
@json_option
def requeue(name: str, as_json: bool) -> None:
    """Give all items of queue NAME that were given up another life."""
    with connected() as client:
        requeued = client.queue(name).requeue()
    _done({"requeued": requeued}, as_json, f"{requeued} items are on the queue again")


@queue.command()
@click.argument("name")
@json_option
def delete(name: str, as_json: bool) -> None:
    """Remove queue NAME with its items and results."""
    with connected() as client:
        client.queue(name).delete()
    _done({"deleted": name}, as_json)


def _done(what: dict[str, str | int], as_json: bool, said: str = "") -> None:
    if as_json:
        print_json(what)
    elif said:
        click.echo(said)


def _show(found: "list[QueueStats]") -> None:
    print_table(["queue", "ready", "leased", "done", "dead", "cancelled", "paused", "worked by"], [*map(_row, found)])


def _row(queue: "QueueStats") -> Row:
    paused, workers = "yes" if queue.paused else "no", ", ".join(queue.attached) or None
    return queue.name, queue.ready, queue.leased, queue.done, queue.dead, queue.cancelled, paused, workers


def _print_batch(batch: "ResultBatch") -> None:
    for item, ordinal, summary in zip(batch.item, batch.ordinal, batch.summary, strict=True):
        print_json_line(
            {"item": int(item), "cohort": batch.cohort, "ordinal": int(ordinal), "summary": summary.tolist()}
        )
