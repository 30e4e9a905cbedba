"""StudentService."""

import json
from typing import Any

from plures.v1 import student_pb2 as pb
from plures.v1 import student_pb2_grpc
from plures_students.spaces import space_to_json

from .. import names
from ..students import ServedStudent, Students


class StudentService(student_pb2_grpc.StudentServiceServicer):
    """Says which students are loaded."""

    def __init__(self, students: Students) -> None:
        self._students = students

    async def ListStudents(self, request: pb.ListStudentsRequest, context: Any) -> pb.ListStudentsResponse:
        return pb.ListStudentsResponse(students=map(student_message, self._students.all()))

    async def GetStudent(self, request: pb.GetStudentRequest, context: Any) -> pb.GetStudentResponse:
        student = self._students.get(names.parse(request.name, "students"))
        return pb.GetStudentResponse(student=student_message(student))


def student_message(student: ServedStudent) -> pb.Student:
    return pb.Student(
        name=f"students/{student.name}",
        rule=student.config.rule,
        parameters=sum(p.numel() for p in student.model.parameters()),
        page_bytes=student.page_bytes,
        observation_space=json.dumps(space_to_json(student.config.observation_space)),
        action_space=json.dumps(space_to_json(student.config.action_space)),
        digest=student.digest,
        horizon=student.horizon,
        teacher_seconds_per_decision=student.teacher_seconds_per_decision,
        card=json.dumps(student.card),
    )
