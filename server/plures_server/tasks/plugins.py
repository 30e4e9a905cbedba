"""Tasks that others bring: entry points of installed packages, and environments that the operator names."""

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points

from ..errors import InvalidArgument
from ..names import check_task
from .base import Task
from .environments import PREFIX, Environment

GROUP = "plures.tasks"
"""An entry point of this group names a task, or what makes one when it is called with nothing."""

_PARTS = ("observation_space", "action_space", "parameter_names", "summary_names", "check", "begin")


def more_tasks(known: Iterable[str], environments: Iterable[str]) -> Mapping[str, Task]:
    """Tasks of plugins and of gymnasium's environments, by name; raise InvalidArgument for the first that is none."""
    found: dict[str, Task] = {}
    for point in entry_points(group=GROUP):
        if point.name in found or point.name in known:
            raise InvalidArgument(f"{_said(point)} has a name that another task has; uninstall one of them")
        found[check_task(point.name)] = _load(point)
    return found | {check_task(PREFIX + name): Environment(name) for name in environments}


def _load(point: EntryPoint) -> Task:
    try:
        made = point.load()
        # A class has all the parts, too; what is meant is an instance.
        task: Task = made() if isinstance(made, type) or not hasattr(made, "begin") else made
    except Exception as error:
        raise InvalidArgument(f"{_said(point)} cannot be loaded: {error!r}") from error
    if missing := [part for part in _PARTS if not hasattr(task, part)]:
        raise InvalidArgument(f"{_said(point)} is no task: it has no {', '.join(missing)}")
    return task


def _said(point: EntryPoint) -> str:
    package = point.dist.name if point.dist else "an installed package"
    return f"task {point.name!r} of {package} ({point.value})"
