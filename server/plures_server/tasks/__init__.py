"""The tasks that a server knows, by name."""

from ..errors import InvalidArgument, UnknownTask
from ..students import Hosted
from .bandit import Bandit
from .base import AskingEpisode, Asks, Episode, Task
from .branches import Branches
from .maze import Maze
from .minimise import Minimise
from .restless import RestlessBandit
from .simplex import Simplex
from .watched import Watched

__all__ = ["TASKS", "AskingEpisode", "Asks", "Episode", "Task", "Watched", "get_task", "task_for", "tasks_for"]

TASKS: dict[str, Task] = {
    "bandit": Bandit(arms=2),
    "branches": Branches(),
    "maze": Maze(),
    "minimise": Minimise(),
    "restless-bandit": RestlessBandit(arms=2),
    "simplex": Simplex(),
}


def get_task(name: str) -> Task:
    try:
        return TASKS[name]
    except KeyError:
        raise UnknownTask(f"no task {name!r} is known; known: {', '.join(sorted(TASKS))}") from None


def task_for(student: Hosted, name: str) -> Task:
    """The task, when the student's spaces are the task's; else raise InvalidArgument."""
    task = get_task(name)
    for what in _other_spaces(student, task):
        raise InvalidArgument(
            f"task {name!r} has {what} {getattr(task, what)}, student {student.name!r} has "
            f"{getattr(student.config, what)}"
        )
    return task


def tasks_for(student: Hosted) -> list[str]:
    """The names of the tasks whose spaces are the student's."""
    return [name for name, task in sorted(TASKS.items()) if not _other_spaces(student, task)]


def _other_spaces(student: Hosted, task: Task) -> list[str]:
    spaces = ("observation_space", "action_space")
    return [what for what in spaces if getattr(student.config, what) != getattr(task, what)]
