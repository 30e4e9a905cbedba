"""What a server offers: students and tasks."""

from plures.v1.student_pb2 import GetStudentRequest, ListStudentsRequest
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
        answer = await self._wire.call(self._wire.to.students.ListStudents, ListStudentsRequest())
        return [StudentInfo.read(student) for student in answer.students]

    async def get(self, name: str) -> StudentInfo:
        """One of them; raise NotFound when none has that name."""
        request = GetStudentRequest(name=full("students", name))
        answer = await self._wire.call(self._wire.to.students.GetStudent, request)
        return StudentInfo.read(answer.student)


class AsyncTasks:
    """The environments that run beside the agents."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(self) -> list[TaskInfo]:
        """All of them."""
        answer = await self._wire.call(self._wire.to.tasks.ListTasks, ListTasksRequest())
        return [TaskInfo.read(task) for task in answer.tasks]

    async def get(self, name: str) -> TaskInfo:
        """One of them; raise NotFound, with the names there are, when none has that name."""
        tasks = {task.name: task for task in await self.list()}
        if short(name) not in tasks:
            raise NotFound(f"no task {short(name)}; the server knows {', '.join(tasks) or 'none'}")
        return tasks[short(name)]
