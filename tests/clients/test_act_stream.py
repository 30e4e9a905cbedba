"""Steps in flight: real gRPC, servers that answer out of order, refuse, break off or break the contract."""

import asyncio
import threading

import grpc
import numpy as np
import pytest
from plures.v1.agent_pb2 import ActResponse
from plures.v1.agent_pb2_grpc import AgentServiceServicer, add_AgentServiceServicer_to_server
from plures.v1.tensor_pb2 import ItemError, Tensor
from plures_client import AsyncClient, Client
from plures_client.aio.acting import MAX_AGENTS, parts
from plures_client.errors import DataLoss, InvalidArgument, NotFound, ServerError, Unavailable
from plures_client.ordinals import count
from plures_client.tensors import decode, encode


class Acting(AgentServiceServicer):
    """Answers the Act stream as `answer(requests, context)` says; nothing else."""

    def __init__(self, answer):
        self.answer = answer

    def Act(self, request_iterator, context):
        return self.answer(request_iterator, context)

    def _nothing(self, request, context):
        raise NotImplementedError

    StartCohort = GetCohort = ListCohorts = Fork = Retire = Snapshot = Restore = GetPool = _nothing


@pytest.fixture
def acting(serve):
    return lambda answer: serve(lambda server: add_AgentServiceServicer_to_server(Acting(answer), server))


def echo(request):
    """The agents take the action that equals their observation."""
    return ActResponse(id=request.id, action=request.observation)


def one_by_one(requests, context):
    yield from map(echo, requests)


def never(requests, context):
    """Until the client has gone."""
    gone = threading.Event()
    context.add_callback(gone.set)
    for _ in requests:
        pass
    gone.wait(20)
    yield from ()


def last_first(requests, context):
    yield from reversed([echo(request) for request in requests])


async def test_answers_find_their_requests_whatever_their_order(acting):
    async with AsyncClient(acting(last_first)) as client:
        async with client.cohort("joe").act_stream() as stream:
            pending = [await stream.send(n, observation=[n]) for n in range(20)]
        results = [await answer for answer in pending]

    assert [result.action.tolist() for result in results] == [[n] for n in range(20)]


async def test_no_more_than_the_window_is_in_flight(acting):
    most = 0

    def measure(requests, context):
        nonlocal most
        waiting = []
        for request in requests:
            waiting.append(request)
            most = max(most, len(waiting))
            if len(waiting) == 3:
                yield from map(echo, waiting)
                waiting.clear()

    async with AsyncClient(acting(measure)) as client, client.cohort("joe").act_stream(window=3) as stream:
        for n in range(30):
            await stream.send(n, observation=[n])

    assert most == 3


async def test_a_refused_step_fails_alone(acting):
    def refuse_odd(requests, context):
        for request in requests:
            error = ItemError(code=5, reason="UNKNOWN_AGENT", message=f"no agent {request.id}")
            yield ActResponse(id=request.id, error=error) if request.id % 2 else echo(request)

    async with AsyncClient(acting(refuse_odd)) as client, client.cohort("joe").act_stream() as stream:
        pending = [await stream.send(n, observation=[n]) for n in range(6)]
        outcomes = await asyncio.gather(*pending, return_exceptions=True)

    assert [str(outcome) for outcome in outcomes[::2]] == ["no agent 1", "no agent 3", "no agent 5"]
    assert all(isinstance(outcome, NotFound) and outcome.reason == "UNKNOWN_AGENT" for outcome in outcomes[::2])
    assert [outcome.action.tolist() for outcome in outcomes[1::2]] == [[1], [3], [5]]


async def test_when_the_stream_breaks_everyone_who_waits_is_told_why(acting):
    def break_down(requests, context):
        yield echo(next(requests))
        context.abort(grpc.StatusCode.INTERNAL, "out of luck")

    async with AsyncClient(acting(break_down)) as client, client.cohort("joe").act_stream(window=2) as stream:
        await stream.act(0, observation=[0])
        waiting = asyncio.gather(*(stream.act(n, observation=[n]) for n in range(10)), return_exceptions=True)
        outcomes = await asyncio.wait_for(waiting, 5)
        with pytest.raises(ServerError, match="out of luck"):
            await stream.send(0, observation=[0])

    assert [str(outcome) for outcome in outcomes] == ["out of luck"] * 10


async def test_who_waits_for_answers_can_be_cancelled(acting):
    async with AsyncClient(acting(never)) as client:
        cohort = client.cohort("joe")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cohort.act(0, observation=[0]), 0.2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), cohort.act_stream() as stream:
                await stream.act(0, observation=[0])


async def test_a_server_that_ends_the_stream_early_leaves_nobody_waiting(acting):
    def fall_silent(requests, context):
        next(requests)
        yield from ()

    async with AsyncClient(acting(fall_silent)) as client, client.cohort("joe").act_stream() as stream:
        with pytest.raises(Unavailable, match="ended the stream"):
            await asyncio.wait_for(stream.act(0, observation=[0]), 5)


@pytest.mark.parametrize("ends", ["refused", "without a word"])
async def test_a_stream_that_ends_under_a_write_says_what_the_server_said(acting, ends):
    """And not what gRPC puts in its place: it reports a failed write before, or over, the server's status."""

    def end(requests, context):
        if ends == "refused":
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "no token came")
        yield from ()

    address = acting(end)
    told = set()
    for _ in range(200):
        async with AsyncClient(address) as client, client.cohort("joe").act_stream(window=4) as stream:
            steps = (stream.act(range(2**14), observation=range(2**14)) for _ in range(4))
            told |= {str(outcome) for outcome in await asyncio.gather(*steps, return_exceptions=True)}

    said = {"refused": "no token came", "without a word": f"the server at {address} ended the stream; open it again"}
    assert told == {said[ends]}


async def test_an_answer_that_breaks_the_contract_is_not_believed(acting):
    def wrong(requests, context):
        for request in requests:
            yield ActResponse(
                id=request.id, action=Tensor(data_type=request.observation.data_type, shape=[9], data=b"")
            )

    async with AsyncClient(acting(wrong)) as client:
        with pytest.raises(DataLoss, match="0 bytes"):
            await client.cohort("joe").act(0, observation=[0])


async def test_leaving_the_stream_by_an_exception_ends_it_on_the_server(acting):
    ended = threading.Event()

    def wait(requests, context):
        context.add_callback(ended.set)
        yield from map(echo, requests)

    async def leave(client):
        async with client.cohort("joe").act_stream() as stream:
            await stream.act(0, observation=[0])
            raise KeyError

    async with AsyncClient(acting(wait)) as client:
        with pytest.raises(KeyError):
            await leave(client)
        assert await asyncio.to_thread(ended.wait, 5)


async def test_arrays_that_do_not_fit_the_agents_are_refused_before_they_are_sent(acting):
    async with AsyncClient(acting(one_by_one)) as client:
        cohort = client.cohort("joe")
        with pytest.raises(InvalidArgument, match=r"observation of shape \(3,\) given for 4 agents"):
            await cohort.act(range(4), observation=[0, 0, 0])
        with pytest.raises(InvalidArgument, match=r"reward of shape \(\) given"):
            await cohort.act(range(4), reward=0.5)
        with pytest.raises(InvalidArgument, match=r"reward of shape \(2,\) given for 3 agents"):
            await cohort.act(observation=[0, 0, 0], reward=[1, 1])


async def test_a_step_carries_what_the_agents_see(acting):
    seen = []

    def remember(requests, context):
        for request in requests:
            seen.append(request)
            yield ActResponse(
                id=request.id, action=request.action, log_probs=encode(np.log([[0.25, 0.75]] * 2), np.float32)
            )

    async with AsyncClient(acting(remember)) as client:
        result = await client.cohort("joe").act(
            [7, 5], observation=[[0.5], [1.5]], reward=[1, 0], done=[True, False], action=[1, 0], want_log_probs=True
        )

    [request] = seen
    assert request.cohort == "cohorts/joe"
    assert np.frombuffer(request.ordinals.packed, "<u4").tolist() == [7, 5]
    assert decode(request.observation, np.float32, (2, 1)).tolist() == [[0.5], [1.5]]
    assert decode(request.reward, np.float32, (2,)).tolist() == [1, 0]
    assert decode(request.done, np.uint8, (2,)).tolist() == [1, 0]
    assert result.action.tolist() == [1, 0]
    np.testing.assert_allclose(np.exp(result.log_probs), [[0.25, 0.75]] * 2, rtol=1e-6)


def test_a_crowd_goes_in_parts_that_the_server_takes():
    crowd = range(5, 5 + 2 * MAX_AGENTS + 1)
    cut = list(parts(crowd, {"observation": np.arange(len(crowd))}))

    assert [count(some) for some, _ in cut] == [MAX_AGENTS, MAX_AGENTS, 1]
    assert [seen["observation"][0] for _, seen in cut] == [0, MAX_AGENTS, 2 * MAX_AGENTS]


def test_a_crowd_acts_as_one(acting):
    agents = 2 * MAX_AGENTS + 3
    with Client(acting(last_first)) as client:
        result = client.cohort("joe").act(range(agents), observation=np.arange(agents))

    np.testing.assert_array_equal(result.action, np.arange(agents))
    assert result.log_probs is None


def test_the_blocking_stream_sends_ahead_and_collects_later(acting):
    with Client(acting(one_by_one)) as client, client.cohort("joe").act_stream() as stream:
        pending = [stream.send(n, observation=[n]) for n in range(20)]
        assert [each.result().action.tolist() for each in pending] == [[n] for n in range(20)]
        assert all(each.done() for each in pending)
        assert stream.act(3, observation=[3]).action.tolist() == [3]
