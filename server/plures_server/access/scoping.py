"""Tenants' names on their way between the wire and the server: `joe` of tenant `acme` is `acme~joe` inside.

Every string of every message is either listed here or has nothing to do with tenants; a test goes through them all.
"""

from collections.abc import Callable, MutableSequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from ..names import TENANT_MARK

M = TypeVar("M", bound=Message)

RESOURCES = frozenset(
    {
        *("ActRequest.cohort", "AttachRequest.cohort", "AttachRequest.queue", "BecomeBegin.cohort", "Cohort.name"),
        *("Cohort.parent", "DeleteQueueRequest.name", "DeleteSnapshotRequest.name", "DetachRequest.cohort"),
        *("DetachRequest.queue", "DownloadSnapshotRequest.name", "EnqueueRequest.queue", "ForkRequest.name"),
        *("GetCohortRequest.name", "GetLineageRequest.name", "GetLineageResponse.cohort"),
        *("GetLineageResponse.snapshot", "GetQueueRequest.name", "LineageParents.cohort", "MergeMembers.cohort"),
        *("Queue.attached", "Queue.name", "RestoreRequest.snapshot", "ResultsRequest.queue", "ResultsResponse.cohort"),
        *("CancelItemsRequest.queue", "ForgetResultsRequest.queue", "ListDeadItemsRequest.queue"),
        *("PauseQueueRequest.name", "RequeueDeadItemsRequest.queue", "ResumeQueueRequest.name"),
        *("RetireRequest.name", "RunTaskRequest.cohort", "Snapshot.cohort", "Snapshot.name", "SnapshotRequest.name"),
        "SayRequest.cohort",
    }
)
"""Fields of the form `collection/identifier`."""

IDS = frozenset(
    {
        *("ForkRequest.cohort_id", "ListCohortsRequest.page_token", "ListCohortsResponse.next_page_token"),
        *("ListQueuesRequest.page_token", "ListQueuesResponse.next_page_token"),
        *("ListSnapshotsRequest.page_token", "ListSnapshotsResponse.next_page_token"),
        *("MergeRequest.cohort_id", "RestoreRequest.cohort_id", "SnapshotRequest.snapshot_id"),
        *("StartCohortRequest.cohort_id", "UploadSnapshotRequest.snapshot_id"),
    }
)
"""Fields that are an identifier alone, or "" where pages begin and end."""

TEXTS = frozenset({"DeadItems.error", "ItemError.message", "Queue.last_error"})
"""Sentences that may have names in them."""

LISTS = frozenset({"ListCohortsResponse.cohorts", "ListQueuesResponse.queues", "ListSnapshotsResponse.snapshots"})
"""Of these messages, which have a `name`, a tenant sees its own."""

_UPLOAD = "UploadSnapshotRequest.snapshot_id"
"""Of a stream's messages only the first has it: there "" stays what it is."""


@dataclass(frozen=True)
class Scope:
    """One tenant's view."""

    tenant: str

    @property
    def prefix(self) -> str:
        return self.tenant + TENANT_MARK

    def inward(self, message: M) -> M:
        """The request with the names that the server knows; it is changed in place."""
        _apply(message, {"resource": self._enter, "id": self._enter_id, "upload": self._enter_upload})
        return message

    def outward(self, message: M) -> M:
        """The response with the names that the tenant knows, and nothing of others; it is changed in place."""
        _apply(message, {"resource": self._leave, "id": self._leave_id, "text": self.text, "list": self._is_own})
        return message

    def text(self, sentence: str) -> str:
        """A sentence with the names that the tenant knows."""
        return sentence.replace(self.prefix, "")

    def _enter(self, name: str) -> str:
        collection, slash, identifier = name.partition("/")
        return f"{collection}/{self.prefix}{identifier}" if slash else name

    def _enter_id(self, identifier: str) -> str:
        return self.prefix + identifier

    def _enter_upload(self, identifier: str) -> str:
        return self.prefix + identifier if identifier else ""

    def _leave(self, name: str) -> str:
        collection, slash, identifier = name.partition("/")
        if not identifier.startswith(self.prefix):
            # What came from elsewhere, as the cohort that an uploaded snapshot was of.
            return "" if TENANT_MARK in identifier else name
        return collection + slash + identifier.removeprefix(self.prefix)

    def _leave_id(self, identifier: str) -> str:
        # Behind the last page of one's own there is nothing.
        return identifier.removeprefix(self.prefix) if identifier.startswith(self.prefix) else ""

    def _is_own(self, item: Any) -> bool:
        return bool(item.name.partition("/")[2].startswith(self.prefix))


@dataclass(frozen=True)
class _Part:
    """A field that has to do with tenants, by itself or by what is in it."""

    name: str
    kind: str
    repeated: bool
    # A submessage that may be absent.
    inner: bool


_Change = dict[str, Callable[[Any], Any]]


def _apply(message: Message, change: _Change) -> None:
    for part in _parts(message.DESCRIPTOR):
        if part.kind == "list" and "list" in change:
            items = getattr(message, part.name)
            kept = [item for item in items if change["list"](item)]
            del items[:]
            items.extend(kept)
        if part.inner:
            _apply_inside(message, part, change)
        elif part.kind in change:
            _set(message, part, change[part.kind])


def _apply_inside(message: Message, part: _Part, change: _Change) -> None:
    if part.repeated:
        for item in getattr(message, part.name):
            _apply(item, change)
    elif message.HasField(part.name):
        _apply(getattr(message, part.name), change)


def _set(message: Message, part: _Part, change: Callable[[str], str]) -> None:
    if part.repeated:
        values: MutableSequence[str] = getattr(message, part.name)
        values[:] = [change(value) for value in values]
    else:
        setattr(message, part.name, change(getattr(message, part.name)))


@cache
def _parts(message: Descriptor) -> tuple[_Part, ...]:
    return tuple(part for field in message.fields if (part := _part(field)) is not None)


def _part(field: FieldDescriptor) -> _Part | None:
    name = field.full_name.removeprefix("plures.v1.")
    if field.message_type is not None:
        kind = "list" if name in LISTS else ""
        return _Part(field.name, kind, field.is_repeated, True) if _parts(field.message_type) else None
    kind = kind_of(name)
    return _Part(field.name, kind, field.is_repeated, False) if kind else None


def kind_of(name: str) -> str:
    """What a field is to tenants: `resource`, `id`, `upload`, `text`, or "" for nothing."""
    if name == _UPLOAD:
        return "upload"
    kinds = {"resource": RESOURCES, "id": IDS, "text": TEXTS}
    return next((kind for kind, fields in kinds.items() if name in fields), "")
