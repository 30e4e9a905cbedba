"""What a client that knows nothing of us can find out: health, reflection, students."""

import hashlib
import json
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from plures.v1 import student_pb2 as su
from plures_students.model import Student

from .helpers import Wire

OURS = {f"plures.v1.{name}Service" for name in ("Student", "Agent", "Task", "Queue", "Snapshot")}


def ask(channel: grpc.Channel, **question: str) -> reflection_pb2.ServerReflectionResponse:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    [answer] = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**question)]))
    return answer


def described(channel: grpc.Channel, symbol: str) -> DescriptorPool:
    """The files that describe a symbol, as grpcurl gathers them: from the server alone."""
    pool, waiting, seen = DescriptorPool(), [{"file_containing_symbol": symbol}], set()
    files: dict[str, FileDescriptorProto] = {}
    while waiting:
        for data in ask(channel, **waiting.pop()).file_descriptor_response.file_descriptor_proto:
            file = FileDescriptorProto.FromString(data)
            files[file.name] = file
            waiting += [{"file_by_filename": name} for name in file.dependency if name not in seen]
            seen.update(file.dependency)

    def add(file: FileDescriptorProto) -> None:
        for name in file.dependency:
            add(files[name])
        pool.Add(file)

    for file in files.values():
        add(file)
    return pool


def test_the_server_says_that_it_serves(wire: Wire) -> None:
    health = health_pb2_grpc.HealthStub(wire.channel)
    assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_our_services(wire: Wire) -> None:
    listed = {service.name for service in ask(wire.channel, list_services="").list_services_response.service}
    assert listed == OURS | {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


def test_every_service_can_be_described(wire: Wire) -> None:
    methods = {
        name: {method.name for method in described(wire.channel, name).FindServiceByName(name).methods} for name in OURS
    }
    assert {"StartCohort", "Act", "Fork", "Retire", "Snapshot"} <= methods["plures.v1.AgentService"]
    assert {"ListTasks", "RunTask"} <= methods["plures.v1.TaskService"]
    assert {"Enqueue", "Attach", "Detach", "Results"} <= methods["plures.v1.QueueService"]
    assert {"ListSnapshots", "DeleteSnapshot"} <= methods["plures.v1.SnapshotService"]


def test_a_client_that_knows_nothing_of_us_lists_the_students(wire: Wire) -> None:
    pool = described(wire.channel, "plures.v1.StudentService")
    method = pool.FindServiceByName("plures.v1.StudentService").FindMethodByName("ListStudents")
    asked, answered = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    call = wire.channel.unary_unary(
        "/plures.v1.StudentService/ListStudents",
        request_serializer=asked.SerializeToString,
        response_deserializer=answered.FromString,
    )
    [student] = json_format.MessageToDict(call(asked()))["students"]
    assert student["name"] == "students/bandit"


def test_a_student_says_what_it_is(wire: Wire, server: Any, bandit_student: Student) -> None:
    [listed] = wire.students.ListStudents(su.ListStudentsRequest()).students
    assert wire.students.GetStudent(su.GetStudentRequest(name="students/bandit")).student == listed
    weights = Path(server.folder) / "students" / "bandit" / "model.safetensors"
    assert listed.digest == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert listed.parameters == sum(weight.numel() for weight in bandit_student.parameters())
    assert (listed.rule, listed.page_bytes, listed.horizon) == ("gated_delta", 4096, 100)
    assert listed.teacher_seconds_per_decision == 0.37
    assert json.loads(listed.observation_space) == {"type": "Discrete", "n": 1}
    assert json.loads(listed.action_space) == {"type": "Discrete", "n": 2}
    assert json.loads(listed.card)["horizon"] == 100
