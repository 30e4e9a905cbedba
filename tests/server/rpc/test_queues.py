"""QueueService over a real channel: from submission to result."""

import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from plures.v1 import agent_pb2 as ag
from plures.v1 import queue_pb2 as qu
from plures.v1 import tensor_pb2 as te
from plures_server.attachments import Attachments
from plures_server.queue.chunks import Chunk
from plures_server.queue.store import QueueConfig, QueueStore
from plures_server.rpc.queues import QueueService
from plures_server.rpc.serve import MAX_MESSAGE_BYTES

from .helpers import Wire, array, item_refusal, new_name, refusal, tensor


def items(count: int = 5, **changes: te.Tensor) -> qu.TaskItems:
    numbers = np.arange(count, dtype=np.uint64)
    columns = {
        "item": tensor(numbers + np.uint64(2**63), "u8"),
        "parameters": tensor(np.full((count, 2), 0.5)),
        "seed": tensor(numbers, "u8"),
        "steps": tensor(np.full(count, 3), "u4"),
    }
    return qu.TaskItems(**({"task": "tasks/bandit"} | columns | changes))


def submission(queue: str, wanted: qu.TaskItems | None = None, submit_id: str = "one") -> qu.EnqueueRequest:
    return qu.EnqueueRequest(queue=queue, submit_id=submit_id, items=wanted or items())


def put(wire: Wire, *requests: qu.EnqueueRequest) -> list[qu.EnqueueResponse]:
    return list(wire.queues.Enqueue(iter(requests)))


def new_queue() -> str:
    return f"queues/{new_name()}"


def stats(wire: Wire, queue: str) -> qu.Queue:
    return wire.queues.GetQueue(qu.GetQueueRequest(name=queue)).queue


def until(fact: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < deadline


def attach(wire: Wire, queue: str, cohort: str, keep: int = qu.KEEP_LEARNING) -> None:
    wire.queues.Attach(qu.AttachRequest(queue=queue, cohort=cohort, keep=keep))


def test_items_are_done_and_their_results_streamed(wire: Wire) -> None:
    queue, joe = new_queue(), wire.start(3)
    assert [(one.submit_id, one.accepted) for one in put(wire, submission(queue, items(700)))] == [("one", 700)]
    attach(wire, queue, joe)
    done: dict[int, float] = {}
    stream, cursors = wire.queues.Results(qu.ResultsRequest(queue=queue)), []
    for response in stream:
        cursors.append(response.cursor)
        assert response.cohort == joe
        assert set(array(response.ordinal)) <= {0, 1, 2}
        done |= dict(
            zip(array(response.item).tolist(), array(response.summary)[:, [0, 3]].sum(1).tolist(), strict=True)
        )
        if len(done) == 700:
            stream.cancel()
            break
    assert done == {2**63 + n: 3.0 for n in range(700)}
    rest = wire.queues.Results(qu.ResultsRequest(queue=queue, cursor=cursors[0]))
    assert next(rest).cursor == cursors[1]
    rest.cancel()
    assert list(stats(wire, queue).attached) == [joe]
    wire.queues.Detach(qu.DetachRequest(queue=queue, cohort=joe))
    told = stats(wire, queue)
    assert (told.name, told.ready, told.leased, told.done, told.dead) == (queue, 0, 0, 700, 0)
    assert not told.attached
    assert wire.agents.Retire(ag.RetireRequest(name=joe)).retired == 3


def test_a_submission_made_twice_is_made_once(wire: Wire) -> None:
    queue = new_queue()
    told = put(wire, submission(queue), submission(queue, items(9)), submission(queue, items(2), "two"))
    assert [(one.submit_id, one.accepted, one.duplicate) for one in told] == [
        ("one", 5, False),
        ("one", 5, True),
        ("two", 2, False),
    ]
    assert stats(wire, queue).ready == 7


BAD_ITEMS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no task": ({"task": ""}, "INVALID_ARGUMENT", "is not a resource name of the form tasks/…"),
    "an unknown task": ({"task": "tasks/chess"}, "UNKNOWN_TASK", "no task 'chess' is known"),
    "no items": ({"item": tensor([], "u8")}, "INVALID_ARGUMENT", "there are no items"),
    "signed items": ({"item": tensor(range(5), "i8")}, "INVALID_ARGUMENT", "item is DATA_TYPE_INT64 [5]"),
    "seeds of some": ({"seed": tensor([1, 2], "u8")}, "INVALID_ARGUMENT", "seed has 2 rows for 5 items"),
    "an item without steps": (
        {"steps": tensor([1, 1, 0, 1, 1], "u4")},
        "INVALID_ARGUMENT",
        "9223372036854775810 has 0",
    ),
    "parameters in a row": (
        {"parameters": tensor([0.5] * 10)},
        "INVALID_ARGUMENT",
        "wanted is DATA_TYPE_FLOAT32 with 2",
    ),
    "a parameter too many": ({"parameters": tensor(np.full((5, 3), 0.5))}, "INVALID_ARGUMENT", "(p_0, p_1)"),
    "no chance": ({"parameters": tensor(np.full((5, 2), 2.0))}, "INVALID_ARGUMENT", "p_0 2.0 of row 0"),
    "a chance that is no number": (
        {"parameters": tensor(np.full((5, 2), np.nan))},
        "INVALID_ARGUMENT",
        "p_0 nan of row 0",
    ),
}


def test_bad_items_are_answered_by_an_error_and_the_stream_goes_on(wire: Wire) -> None:
    queue = new_queue()
    bad = [submission(queue, items(**changes)) for changes, _, _ in BAD_ITEMS.values()]
    bad += [submission("fresh"), submission("queues/../x"), submission(queue, submit_id=""), qu.EnqueueRequest()]
    told = put(wire, *bad, submission(queue))
    for (what, (_, reason, said)), answer in zip(BAD_ITEMS.items(), told, strict=False):
        assert item_refusal(answer.error).reason == reason, what
        assert said in answer.error.message, what
    for answer, said in zip(
        told[len(BAD_ITEMS) : -1], ("'fresh'", "'../x'", "1 to 128 characters, not 0", ""), strict=True
    ):
        assert item_refusal(answer.error).code == "INVALID_ARGUMENT"
        assert said in answer.error.message
    assert told[-1].accepted == 5
    assert stats(wire, queue).ready == 5


def test_a_cohort_cannot_work_a_queue_twice_nor_step_meanwhile(wire: Wire) -> None:
    queue, joe = new_queue(), wire.start(2)
    attach(wire, queue, joe, qu.KEEP_NOTHING)
    assert refusal(lambda: attach(wire, queue, joe)).reason == "ALREADY_EXISTS"
    assert refusal(lambda: attach(wire, new_queue(), joe)).reason == "AGENTS_BUSY"
    assert wire.act([ag.ActRequest(cohort=joe)])[0].error.reason == "AGENTS_BUSY"
    assert refusal(lambda: wire.save(joe, "x")).reason == "AGENTS_BUSY"
    wire.queues.Detach(qu.DetachRequest(queue=queue, cohort=joe))
    assert not wire.act([ag.ActRequest(cohort=joe)])[0].error.reason


def test_a_deleted_queue_frees_its_cohorts(wire: Wire) -> None:
    queue, joe = new_queue(), wire.start(2)
    put(wire, submission(queue, items(2, steps=tensor([10**9, 10**9], "u4"))))
    attach(wire, queue, joe)
    until(lambda: stats(wire, queue).leased == 2)
    wire.queues.DeleteQueue(qu.DeleteQueueRequest(name=queue))
    assert refusal(lambda: stats(wire, queue)).reason == "UNKNOWN_QUEUE"
    assert wire.cohort(joe).max_step == 0
    assert wire.agents.Retire(ag.RetireRequest(name=joe)).retired == 2
    assert put(wire, submission(queue))[0].accepted == 5, "its name is free again, and so are its submission ids"


def test_queues_come_in_pages(wire: Wire) -> None:
    names = sorted(new_queue() for _ in range(3))
    for name in names:
        put(wire, submission(name))
    found, token = [], names[0].removeprefix("queues/")[:-1]
    while token:
        page = wire.queues.ListQueues(qu.ListQueuesRequest(page_size=2, page_token=token))
        assert len(page.queues) == 2 or not page.next_page_token
        found, token = [*found, *page.queues], page.next_page_token
    assert [queue.name for queue in found] == sorted(queue.name for queue in found)
    told = {queue.name: queue for queue in found}
    assert all(told[name] == stats(wire, name) for name in names)
    wire.queues.DeleteQueue(qu.DeleteQueueRequest(name=names[1]))
    left = {queue.name for queue in wire.queues.ListQueues(qu.ListQueuesRequest()).queues}
    assert (names[0] in left, names[1] in left) == (True, False)
    refused = refusal(lambda: wire.queues.ListQueues(qu.ListQueuesRequest(page_token="x" * 300)))
    assert "begin again without one" in refused.message


def test_a_reader_of_results_who_leaves_is_let_go(wire: Wire) -> None:
    queue = new_queue()
    put(wire, submission(queue))
    stream = wire.queues.Results(qu.ResultsRequest(queue=queue), timeout=0.3)
    with pytest.raises(grpc.RpcError) as late:
        next(stream)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_dead_items_that_do_not_fit_in_an_answer_are_left_out_the_oldest_first(
    valkey_url: str, queue: str
) -> None:
    async with QueueStore(valkey_url, QueueConfig(max_attempts=1)) as store:
        large = items(1, parameters=tensor(np.zeros((1, 1_200_000)))).SerializeToString()
        for submit_id in "abcd":
            await store.enqueue(queue, submit_id, [Chunk(large, 1)])
            lease = await store.lease(queue, 1, 60_000)
            await store.fail(queue, lease.token, [lease.chunks[0].id], submit_id)
        service = QueueService(store, Attachments(None, store))  # type: ignore[arg-type]
        found = await service.ListDeadItems(qu.ListDeadItemsRequest(queue=f"queues/{queue}", limit=2**32 - 1), None)
        assert [one.error for one in found.dead] == ["c", "d"]
        assert found.ByteSize() < MAX_MESSAGE_BYTES
        assert await store.requeue(queue) == 4
