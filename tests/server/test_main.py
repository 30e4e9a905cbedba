"""The command `plures-server`: what keeps it from starting, and what its death leaves behind."""

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from click.testing import CliRunner, Result
from plures.v1 import agent_pb2 as ag
from plures.v1 import queue_pb2 as qu
from plures.v1 import task_pb2 as ta
from plures.v1.agent_pb2_grpc import AgentServiceStub
from plures.v1.queue_pb2_grpc import QueueServiceStub
from plures.v1.task_pb2_grpc import TaskServiceStub
from plures_server.main import main
from plures_students.checkpoint import save_checkpoint

from .helpers import small_student
from .rpc.helpers import array, tensor

FAIR = tensor([[0.5, 0.5]])


@pytest.fixture
def students(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "students" / "joe", small_student(), {})
    return tmp_path / "students"


def invoke(students: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["--students", str(students), "--data", str(students.parent / "data"), "--port", "0", *arguments]
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def sentence(result: Result) -> str:
    """The one line that says what is wrong, without a traceback."""
    assert result.exit_code not in (0, None)
    assert isinstance(result.exception, SystemExit), result.exception
    said = [line for line in result.stderr.splitlines() if line and not re.match(r"Usage:|Try |\d{4}-", line)]
    assert len(said) == 1, result.stderr
    return said[0]


def test_folders_without_students_are_named(students: Path) -> None:
    assert "nowhere is not a folder of students" in sentence(invoke(students.parent / "nowhere"))
    (students.parent / "empty").mkdir()
    assert "empty holds no students: make one with `plures imitate`" in sentence(invoke(students.parent / "empty"))


def test_a_damaged_student_is_named(students: Path) -> None:
    (students / "joe" / "config.json").write_text("{")
    assert "joe/config.json cannot be read as JSON" in sentence(invoke(students))


def test_a_port_that_is_taken_is_named(students: Path, taken_port: int) -> None:
    said = sentence(invoke(students, "--port", str(taken_port)))
    assert said.startswith(f"plures-server: cannot listen on 127.0.0.1:{taken_port}: ")
    assert "is another server there? --port 0 takes a free one" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_an_address_that_others_reach_takes_a_flag(students: Path, host: str) -> None:
    assert f"{host} can be reached from elsewhere" in sentence(invoke(students, "--host", host))


@pytest.mark.parametrize(("device", "said"), [("tpu", "'tpu' is no device"), ("cuda:99", "there is no cuda:99 here")])
def test_a_device_there_is_not_is_named(students: Path, device: str, said: str) -> None:
    assert said in sentence(invoke(students, "--device", device))


def test_a_data_folder_that_cannot_be_one_is_named(students: Path) -> None:
    (students.parent / "data").write_text("in the way")
    said = sentence(invoke(students))
    assert str(students.parent / "data") in said


def test_a_store_address_that_is_none_is_named(students: Path) -> None:
    assert "'nonsense' is not the address of a Redis server" in sentence(invoke(students, "--redis-url", "nonsense"))


@pytest.mark.parametrize("folder", ["students/joe/config.json", "/proc/nowhere"])
def test_a_folder_that_cold_states_cannot_be_kept_in_is_named(students: Path, folder: str) -> None:
    path = students.parent / folder
    said = sentence(invoke(students, "--memory-gb", "0.001", "--disk-gb", "1", "--tier-dir", str(path)))
    assert said.startswith(f"plures-server: cold states cannot be kept in {path} (")
    assert said.endswith("name another folder with --tier-dir")


def test_a_folder_for_cold_states_needs_a_size(students: Path) -> None:
    assert "say with --disk-gb how much" in sentence(invoke(students, "--tier-dir", str(students.parent / "tier")))


def test_too_little_memory_is_named(students: Path) -> None:
    assert "student 'joe' needs 256 bytes a state, and memory for 1 at least; its share is 10;" in sentence(
        invoke(students, "--memory-gb", "0.00000001")
    )


def test_more_agents_than_pages_can_be_numbered_are_refused(students: Path) -> None:
    assert "is not in the range 1<=x<=536870912" in sentence(invoke(students, "--max-agents", str(2**29 + 1)))


def test_a_second_server_on_a_port_exits_with_a_sentence(server: Any, students: Path) -> None:
    """The whole process, as an operator sees it."""
    command = [str(Path(sys.executable).parent / "plures-server"), "--students", str(students)]
    command += ["--data", str(students.parent / "data"), "--port", server.address.rpartition(":")[2]]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "cannot listen on 127.0.0.1:" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def children(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return [int(child) for child in listed.split()]


def is_alive(pid: int) -> bool:
    try:
        return "Z (zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def submission(count: int, steps: int) -> qu.EnqueueRequest:
    items = qu.TaskItems(
        task="tasks/bandit",
        item=tensor(range(count), "u8"),
        parameters=tensor(np.full((count, 2), 0.5)),
        seed=tensor(range(count), "u8"),
        steps=tensor([steps] * count, "u4"),
    )
    return qu.EnqueueRequest(queue="queues/work", submit_id="once", items=items)


def test_what_is_on_disk_outlives_a_server_that_is_killed(launch_server: Callable[..., Any]) -> None:
    """Its store dies with it; the next server on the folder has its queues and snapshots, and works them off."""
    server = launch_server()
    with grpc.insecure_channel(server.address) as channel:
        agents, queues = AgentServiceStub(channel), QueueServiceStub(channel)
        agents.StartCohort(ag.StartCohortRequest(cohort_id="joe", student="students/bandit", count=4, seed=1))
        [stepped] = agents.Act(iter([ag.ActRequest(cohort="cohorts/joe")]))
        list(agents.Snapshot(ag.SnapshotRequest(name="cohorts/joe", snapshot_id="monday")))
        [expected] = agents.Act(iter([ag.ActRequest(cohort="cohorts/joe")]))
        assert next(queues.Enqueue(iter([submission(600, 2)]))).accepted == 600
    assert array(stepped.action).shape == (4,)
    store = children(server.process.pid)
    assert store
    assert all(map(is_alive, store))
    server.kill()
    until(lambda: not any(map(is_alive, store)))
    server.start()
    with grpc.insecure_channel(server.address) as channel:
        agents, queues = AgentServiceStub(channel), QueueServiceStub(channel)
        assert not agents.ListCohorts(ag.ListCohortsRequest()).cohorts
        list(agents.Restore(ag.RestoreRequest(snapshot="snapshots/monday", cohort_id="again")))
        [again] = agents.Act(iter([ag.ActRequest(cohort="cohorts/again")]))
        assert again.action == expected.action
        assert next(queues.Enqueue(iter([submission(600, 2)]))).duplicate
        queues.Attach(qu.AttachRequest(queue="queues/work", cohort="cohorts/again", keep=qu.KEEP_NOTHING))
        done: list[int] = []
        for response in queues.Results(qu.ResultsRequest(queue="queues/work")):
            done += array(response.item).tolist()
            if len(done) >= 600:
                break
        assert sorted(done) == list(range(600))
        assert queues.GetQueue(qu.GetQueueRequest(name="queues/work")).queue.done == 600
        # Asked to stop, it gives back what its cohorts hold, and ends in peace.
        next(
            queues.Enqueue(
                iter([qu.EnqueueRequest(queue="queues/work", submit_id="2", items=submission(4, 10**9).items)])
            )
        )
        until(lambda: queues.GetQueue(qu.GetQueueRequest(name="queues/work")).queue.leased == 4)
    store = children(server.process.pid)
    assert server.stop() == 0
    assert not any(map(is_alive, store))
    server.start()
    with grpc.insecure_channel(server.address) as channel:
        queue = QueueServiceStub(channel).GetQueue(qu.GetQueueRequest(name="queues/work")).queue
        assert (queue.ready, queue.leased, queue.done, queue.dead) == (4, 0, 600, 0)
        agents, tasks = AgentServiceStub(channel), TaskServiceStub(channel)
        agents.StartCohort(ag.StartCohortRequest(cohort_id="joe", student="students/bandit", count=4))
        forever = ta.RunTaskRequest(cohort="cohorts/joe", task="tasks/bandit", parameters=FAIR, steps=10**9)
        hold = threading.Event()
        streams = [
            tasks.RunTask(forever),
            agents.Act(iter(hold.wait, True)),
            QueueServiceStub(channel).Results(qu.ResultsRequest(queue="queues/work")),
        ]
        next(streams[0])
        os.kill(server.process.pid, signal.SIGINT)
        assert server.process.wait(30) == 0, "open streams do not keep it"
        hold.set()
        for stream in streams:
            with pytest.raises(grpc.RpcError):
                list(stream)
    assert "Traceback" not in (server.folder / "server.log").read_text()


def test_vllm_is_asked_for_with_a_model_and_where_it_is_not_there_the_way_to_get_it_is_said(students: Path) -> None:
    assert "--engine vllm and --model go together" in sentence(invoke(students, "--engine", "vllm"))
    assert "--engine vllm and --model go together" in sentence(invoke(students, "--model", "poet"))
    if importlib.util.find_spec("vllm") is None:
        said = sentence(invoke(students, "--engine", "vllm", "--model", "poet"))
        assert said.endswith("vLLM is not installed here: pip install 'plures[vllm]' (GPU), or `make vllm` (CPU)")
