"""How a coordinator tells how far it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Step:
    """So many of so many items done in the part of the work that `label` names."""

    label: str
    done: int
    items: int


Report: TypeAlias = Callable[[Step], None]


def quietly(_: Step) -> None:
    """The report of who does not want to hear any."""


@contextmanager
def progress_bar() -> Iterator[Report]:
    """A report that draws a bar a label on the terminal."""
    from rich.progress import MofNCompleteColumn, Progress, TaskID, TimeElapsedColumn

    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn()) as bars:
        tasks: dict[str, TaskID] = {}

        def report(step: Step) -> None:
            if step.label not in tasks:
                tasks[step.label] = bars.add_task(step.label, total=step.items)
            bars.update(tasks[step.label], completed=step.done)

        yield report
