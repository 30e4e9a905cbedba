"""Names of tenants, in every message there is."""

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from plures.v1 import agent_pb2 as ag
from plures.v1 import become_pb2, lineage_pb2, snapshot_pb2, student_pb2, task_pb2, tensor_pb2
from plures.v1 import queue_pb2 as qu
from plures_server.access.scoping import IDS, LISTS, RESOURCES, TEXTS, Scope
from plures_server.names import is_id, tenant_of

ACME = Scope("acme")
FILES = (ag, become_pb2, lineage_pb2, qu, snapshot_pb2, student_pb2, task_pb2, tensor_pb2)

# Strings that have nothing to do with tenants.
SHARED = {
    *(
        "CancelItemsRequest.submit_id",
        "DeadItems.id",
        "ForgetResultsRequest.cursor",
        "Queue.incarnation",
        "RequeueDeadItemsRequest.ids",
    ),
    *("Cohort.student", "EnqueueRequest.submit_id", "EnqueueResponse.submit_id", "FileChunk.file"),
    *("GetLineageResponse.student", "GetPoolResponse.device", "GetStudentRequest.name", "ItemError.reason"),
    *("ForkRequest.request_id", "MergeRequest.request_id", "StartCohortRequest.request_id"),
    *("ListStudentsRequest.page_token", "ListStudentsResponse.next_page_token", "ListTasksRequest.page_token"),
    *("ListTasksResponse.next_page_token", "LoadStudentRequest.name", "UnloadStudentRequest.name"),
    *("ResultsRequest.cursor", "ResultsResponse.cursor", "RunTaskRequest.task", "Snapshot.digest", "Snapshot.student"),
    *("StartCohortRequest.student", "Student.action_space", "Student.card", "Student.digest", "Student.name"),
    *("Student.observation_space", "Student.rule", "Task.action_space", "Task.name", "Task.observation_space"),
    *("Task.parameters", "Task.summary", "TaskItems.task", "TierUsage.name", "CancelItemsRequest.submit_id"),
    *("SayRequest.text", "SayResponse.text"),
}


def messages() -> Iterator[Descriptor]:
    for file in FILES:
        yield from file.DESCRIPTOR.message_types_by_name.values()


def strings() -> set[str]:
    fields = (field for message in messages() for field in message.fields)
    return {field.full_name.removeprefix("plures.v1.") for field in fields if field.type == FieldDescriptor.TYPE_STRING}


def test_it_is_said_of_every_string_whether_it_names_what_is_a_tenants() -> None:
    said = RESOURCES | IDS | TEXTS
    assert said <= strings(), "names of fields that there are not"
    assert strings() - said - SHARED == set(), "say in scoping.py what these are to tenants"


def test_every_repeated_message_with_a_name_of_a_tenants_is_filtered() -> None:
    lists = {
        field.full_name.removeprefix("plures.v1.")
        for message in messages()
        for field in message.fields
        if field.is_repeated and field.message_type and f"{field.message_type.name}.name" in RESOURCES
    }
    assert lists == LISTS


@pytest.mark.parametrize(
    ("message", "field", "inside"),
    [
        (ag.StartCohortRequest(cohort_id="joe"), "cohort_id", "acme~joe"),
        (ag.ActRequest(cohort="cohorts/joe"), "cohort", "cohorts/acme~joe"),
        (qu.AttachRequest(queue="queues/work"), "queue", "queues/acme~work"),
        (snapshot_pb2.UploadSnapshotRequest(), "snapshot_id", ""),
        (snapshot_pb2.ListSnapshotsRequest(), "page_token", "acme~"),
        (ag.StartCohortRequest(student="students/joe"), "student", "students/joe"),
    ],
)
def test_requests_mean_what_is_the_tenants_own(message: Message, field: str, inside: str) -> None:
    assert getattr(ACME.inward(message), field) == inside


def test_names_are_entered_in_parts_of_messages_as_well() -> None:
    merge = ag.MergeRequest(members=[ag.MergeMembers(cohort="cohorts/a"), ag.MergeMembers(cohort="cohorts/b")])
    assert [member.cohort for member in ACME.inward(merge).members] == ["cohorts/acme~a", "cohorts/acme~b"]
    begin = become_pb2.BecomeRequest(begin=become_pb2.BecomeBegin(cohort="cohorts/a"))
    assert ACME.inward(begin).begin.cohort == "cohorts/acme~a"


@pytest.mark.parametrize("name", ["globex~joe", "acme~joe", "~joe", "../joe", ""])
def test_nobody_can_write_the_name_of_anothers_thing(name: str) -> None:
    assert not is_id(ACME.inward(ag.StartCohortRequest(cohort_id=name)).cohort_id)
    inside = ACME.inward(ag.GetCohortRequest(name=f"cohorts/{name}")).name.removeprefix("cohorts/")
    assert not is_id(inside)


def test_responses_have_the_names_that_the_tenant_gave() -> None:
    cohort = ag.Cohort(name="cohorts/acme~joe", parent="cohorts/acme~jane", student="students/acme")
    assert ACME.outward(ag.GetCohortResponse(cohort=cohort)).cohort == ag.Cohort(
        name="cohorts/joe", parent="cohorts/jane", student="students/acme"
    )
    queue = qu.Queue(name="queues/acme~q", attached=["cohorts/acme~a"], last_error="no cohort 'acme~a'")
    assert ACME.outward(qu.GetQueueResponse(queue=queue)).queue == qu.Queue(
        name="queues/q", attached=["cohorts/a"], last_error="no cohort 'a'"
    )


def test_lists_have_only_what_is_the_tenants_own() -> None:
    names = ["cohorts/acme~a", "cohorts/acme-2~b", "cohorts/b", "cohorts/globex~acme", "cohorts/acme~c"]
    listed = ag.ListCohortsResponse(cohorts=[ag.Cohort(name=name) for name in names])
    assert [cohort.name for cohort in ACME.outward(listed).cohorts] == ["cohorts/a", "cohorts/c"]


def test_nothing_of_others_is_told() -> None:
    foreign = ag.Cohort(name="cohorts/acme~a", parent="cohorts/globex~b")
    assert ACME.outward(foreign).parent == ""
    page = snapshot_pb2.ListSnapshotsResponse(next_page_token="globex~monday")
    assert ACME.outward(page).next_page_token == ""


def test_whose_a_thing_is_can_be_told_from_its_name() -> None:
    assert (tenant_of("acme~joe"), tenant_of("joe")) == ("acme", "")
