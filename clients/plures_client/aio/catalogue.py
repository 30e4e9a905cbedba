"""What a server offers: students and tasks."""

from plures.v1.student_pb2 import (
    GetStudentRequest,
    ListStudentsRequest,
    LoadStudentRequest,
    UnloadStudentRequest,
)
from plures.v1.task_pb2 import ListTasksRequest

from ..errors import NotFound
from ..names import full, short
from ..records import StudentInfo, TaskInfo
from .wire import Wire


class AsyncStudents:
    """The checkpoints that agents can be started of."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(self) -> list[StudentInfo]:
        """All of them, by name."""
        pages = self._wire.pages(self._wire.to.students.ListStudents, ListStudentsRequest())
        return [StudentInfo.read(student) async for page in pages for student in page.students]

    async def get(self, name: str) -> StudentInfo:
        """One of them; raise NotFound when none has that name."""
        request = GetStudentRequest(name=full("students", name))
        answer = await self._wire.call(self._wire.to.students.GetStudent, request)
        return StudentInfo.read(answer.student)

    async def load(self, name: str) -> StudentInfo:
        """Load a checkpoint from the folder of that name in the server's folder of students; `joe@2` is a version.

        Raises:
            NotFound: no such folder. FailedPrecondition: no good checkpoint. AlreadyExists: loaded with other weights.
            ResourceExhausted: no memory is left for its agents.
        """
        request = LoadStudentRequest(name=full("students", name))
        answer = await self._wire.call(self._wire.to.students.LoadStudent, request)
        return StudentInfo.read(answer.student)

    async def unload(self, name: str) -> None:
        """Forget a student; raise FailedPrecondition while agents of it are alive."""
        await self._wire.call(self._wire.to.students.UnloadStudent, UnloadStudentRequest(name=full("students", name)))


class AsyncTasks:
    """The environments that run beside the agents."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(self) -> list[TaskInfo]:
        """All of them."""
        pages = self._wire.pages(self._wire.to.tasks.ListTasks, ListTasksRequest())
        return [TaskInfo.read(task) async for page in pages for task in page.tasks]

    async def get(self, name: str) -> TaskInfo:
        """One of them; raise NotFound, with the names there are, when none has that name."""
        tasks = {task.name: task for task in await self.list()}
        if short(name) not in tasks:
            raise NotFound(f"no task {short(name)}; the server knows {', '.join(tasks) or 'none'}")
        return tasks[short(name)]
