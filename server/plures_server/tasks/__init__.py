"""The tasks that a server knows, by name."""

from ..errors import InvalidArgument, UnknownTask
from ..students import ServedStudent
from .bandit import Bandit
from .base import Episode, Task

__all__ = ["TASKS", "Episode", "Task", "get_task", "task_for"]

TASKS: dict[str, Task] = {"bandit": Bandit(arms=2)}


def get_task(name: str) -> Task:
    try:
        return TASKS[name]
    except KeyError:
        raise UnknownTask(f"no task {name!r} is known; known: {', '.join(sorted(TASKS))}") from None


def task_for(student: ServedStudent, name: str) -> Task:
    """The task, when the student's spaces are the task's; else raise InvalidArgument."""
    task, config = get_task(name), student.config
    for what in ("observation_space", "action_space"):
        if getattr(config, what) != getattr(task, what):
            raise InvalidArgument(
                f"task {name!r} has {what} {getattr(task, what)}, student {student.name!r} has {getattr(config, what)}"
            )
    return task
