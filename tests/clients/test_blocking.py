"""The blocking client's thread: one for all clients, none when they are closed, and Ctrl-C reaches the server."""

import asyncio
import contextlib
import signal
import threading

import pytest
from plures.v1.student_pb2 import ListStudentsResponse
from plures.v1.student_pb2_grpc import StudentServiceServicer, add_StudentServiceServicer_to_server
from plures_client import AsyncClient, Client
from plures_client.errors import FailedPrecondition
from plures_client.sync.loop import LoopThread


class Slow(StudentServiceServicer):
    """Answers when told to; says when a call began and when it was cancelled."""

    def __init__(self):
        self.begun, self.go_on, self.ended = threading.Event(), threading.Event(), threading.Event()

    def ListStudents(self, request, context):
        context.add_callback(self.ended.set)
        self.begun.set()
        self.go_on.wait(10)
        return ListStudentsResponse()

    def GetStudent(self, request, context):
        raise NotImplementedError


@pytest.fixture
def slow(serve):
    servicer = Slow()
    servicer.address = serve(lambda server: add_StudentServiceServicer_to_server(servicer, server))
    yield servicer
    servicer.go_on.set()


def client_threads():
    return [thread for thread in threading.enumerate() if thread.name == "plures-client"]


def test_clients_share_one_thread_which_ends_with_the_last_of_them():
    with Client("127.0.0.1:1"):
        with Client("127.0.0.1:1"):
            assert len(client_threads()) == 1
        assert len(client_threads()) == 1
    assert client_threads() == []


def test_a_client_may_be_used_from_several_threads(slow):
    slow.go_on.set()
    with Client(slow.address) as client:
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(client.students.list())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [[]] * 8


def test_ctrl_c_cancels_the_call_on_the_server(slow):
    def interrupt():
        slow.begun.wait(10)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    with Client(slow.address) as client:
        presser = threading.Thread(target=interrupt)
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            client.students.list()
        assert slow.ended.wait(10)
        presser.join()


def test_an_interrupted_call_cleans_up_before_the_interrupt_goes_on():
    began, cleaned = threading.Event(), []

    async def work():
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    def interrupt():
        began.wait(10)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    loop = LoopThread.acquire()
    presser = threading.Thread(target=interrupt)
    presser.start()
    with contextlib.closing(_Released(loop)), pytest.raises(KeyboardInterrupt):
        loop.run(work())
    presser.join()
    assert cleaned == [True]


class _Released:
    def __init__(self, loop):
        self.close = loop.release


def test_a_call_from_a_callback_on_the_loop_is_refused_rather_than_waits_for_ever():
    loop = LoopThread.acquire()

    async def calls_back():
        with pytest.raises(FailedPrecondition, match="from a callback of its own"):
            loop.run(asyncio.sleep(0))

    with contextlib.closing(_Released(loop)):
        loop.run(calls_back())


async def test_closing_the_client_ends_its_calls(slow):
    client = AsyncClient(slow.address)
    call = asyncio.ensure_future(client.students.list())
    await asyncio.to_thread(slow.begun.wait, 10)
    await client.close()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(slow.ended.wait, 10)


def test_a_client_may_be_made_before_its_loop_runs(slow):
    slow.go_on.set()
    client = AsyncClient(slow.address)

    async def use():
        async with client:
            return await client.students.list()

    assert asyncio.run(use()) == []
