"""StudentService."""

import json
from typing import Any

from plures.v1 import student_pb2 as pb
from plures.v1 import student_pb2_grpc
from plures_students.spaces import space_to_json

from .. import names
from ..access import caller
from ..catalogue import Catalogue
from ..errors import OperatorOnly
from ..students import Hosted, Students
from .paging import page_of


class StudentService(student_pb2_grpc.StudentServiceServicer):
    """Says which students are loaded, loads and unloads them."""

    def __init__(self, students: Students, catalogue: Catalogue) -> None:
        self._students = students
        self._catalogue = catalogue

    async def ListStudents(self, request: pb.ListStudentsRequest, context: Any) -> pb.ListStudentsResponse:
        page, token = page_of(self._students.all(), request, lambda student: student.name)
        return pb.ListStudentsResponse(students=map(student_message, page), next_page_token=token)

    async def GetStudent(self, request: pb.GetStudentRequest, context: Any) -> pb.GetStudentResponse:
        student = self._students.get(names.parse_student(request.name))
        return pb.GetStudentResponse(student=student_message(student))

    async def LoadStudent(self, request: pb.LoadStudentRequest, context: Any) -> pb.LoadStudentResponse:
        _check_is_operator()
        student = await self._catalogue.load(names.parse_student(request.name))
        return pb.LoadStudentResponse(student=student_message(student))

    async def UnloadStudent(self, request: pb.UnloadStudentRequest, context: Any) -> pb.UnloadStudentResponse:
        _check_is_operator()
        await self._catalogue.unload(names.parse_student(request.name))
        return pb.UnloadStudentResponse()


def _check_is_operator() -> None:
    if tenant := caller.tenant.get():
        raise OperatorOnly(f"students are everybody's; tenant {tenant!r} may not load or unload them")


def student_message(student: Hosted) -> pb.Student:
    return pb.Student(
        name=f"students/{student.name}",
        rule=student.config.rule,
        parameters=student.parameters,
        page_bytes=student.page_bytes,
        observation_space=json.dumps(space_to_json(student.config.observation_space)),
        action_space=json.dumps(space_to_json(student.config.action_space)),
        digest=student.digest,
        horizon=student.horizon,
        teacher_seconds_per_decision=student.teacher_seconds_per_decision,
        card=json.dumps(student.card),
        version=student.version,
    )
