"""`plures queue`: look at a work queue, read its results, remove it."""

from typing import TYPE_CHECKING

import click

from .connect import connected
from .output import Row, json_option, print_json, print_json_line, print_table

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
def results(name: str, follow: bool) -> None:
    """Print the results of queue NAME, one line of JSON an item."""
    with connected() as client:
        due = client.queue(name).stats().done
        if due == 0 and not follow:
            return
        for batch in client.queue(name).results():
            _print_batch(batch)
            due -= len(batch.item)
            if due <= 0 and not follow:
                return


@queue.command()
@click.argument("name")
def pause(name: str) -> None:
    """Begin nothing more of queue NAME."""
    with connected() as client:
        client.queue(name).pause()


@queue.command()
@click.argument("name")
def resume(name: str) -> None:
    """Go on with queue NAME."""
    with connected() as client:
        client.queue(name).resume()


@queue.command()
@click.argument("name")
@click.option("--submission", default=None, help="The one whose items are cancelled.  [default: all]")
def cancel(name: str, submission: str | None) -> None:
    """Take items off queue NAME, waiting and under way."""
    with connected() as client:
        click.echo(f"{client.queue(name).cancel(submission)} items cancelled")


@queue.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Of those given up last.")
def dead(name: str, limit: int) -> None:
    """Print the items of queue NAME that were given up, one line of JSON a lot."""
    with connected() as client:
        for letter in client.queue(name).dead(limit):
            items = letter.items.item.tolist() if letter.items else None
            task = letter.items.task if letter.items else None
            print_json_line({"task": task, "items": items, "count": letter.count, "error": letter.error})


@queue.command()
@click.argument("name")
def requeue(name: str) -> None:
    """Give all items of queue NAME that were given up another life."""
    with connected() as client:
        click.echo(f"{client.queue(name).requeue()} items are on the queue again")


@queue.command()
@click.argument("name")
def delete(name: str) -> None:
    """Remove queue NAME with its items and results."""
    with connected() as client:
        client.queue(name).delete()


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
