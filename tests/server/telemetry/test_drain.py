"""SIGTERM: what was taken in is finished, no more is begun, and the server ends in time."""

import json
import queue
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from plures.v1 import agent_pb2 as ag
from plures.v1 import task_pb2 as ta
from plures.v1.agent_pb2_grpc import AgentServiceStub
from plures.v1.task_pb2_grpc import TaskServiceStub

from ..rpc.helpers import tensor

FAIR = tensor([[0.5, 0.5]])
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def health(channel: grpc.Channel, service: str) -> Any:
    request = health_pb2.HealthCheckRequest(service=service)
    return health_pb2_grpc.HealthStub(channel).Check(request, timeout=10).status


def test_a_drain_answers_what_was_sent_and_ends_what_would_go_on(launch_server: Callable[..., Any]) -> None:
    server = launch_server("--drain-seconds", "2", "--log-format", "json", "--log-calls")
    with grpc.insecure_channel(server.address) as channel:
        assert (health(channel, ""), health(channel, "liveness")) == (SERVING, SERVING)
        agents, tasks = AgentServiceStub(channel), TaskServiceStub(channel)
        agents.StartCohort(
            ag.StartCohortRequest(cohort_id="joe", student="students/bandit", count=4, durability={"level": 3}),
            metadata=(("x-request-id", "the-first"),),
        )
        agents.StartCohort(ag.StartCohortRequest(cohort_id="jane", student="students/bandit", count=4))
        forever = ta.RunTaskRequest(cohort="cohorts/jane", task="tasks/bandit", parameters=FAIR, steps=10**9)
        running = tasks.RunTask(forever)
        next(running)
        requests: queue.Queue[ag.ActRequest | None] = queue.Queue()
        acting = agents.Act(iter(requests.get, None))
        for number in range(50):
            requests.put(ag.ActRequest(id=number, cohort="cohorts/joe"))
        assert next(acting).id == 0
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watching).status == SERVING
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert next(watching).status == NOT_SERVING, "who balances load is told first"
        answered = []
        with pytest.raises(grpc.RpcError) as ended:
            answered.extend(answer.id for answer in acting)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.RpcError):
            list(running)
        assert server.process.wait(30) == 0
        assert time.monotonic() - began < 20
    requests.put(None)
    lines = [json.loads(line) for line in (server.folder / "server.log").read_text().splitlines()]
    assert not [line for line in lines if "error" in line]
    started = next(line for line in lines if line["message"].startswith("AgentService/StartCohort ended as OK"))
    assert started["request"] == "the-first"
    server.process.stdout.close()
    server.process = None
    server.start()
    with grpc.insecure_channel(server.address) as channel:
        kept = AgentServiceStub(channel).GetCohort(ag.GetCohortRequest(name="cohorts/joe")).cohort
    assert kept.min_step > len(answered), "what was answered is on the disk, the first answer, too"
    server.kill()


def test_two_signals_are_as_good_as_one(launch_server: Callable[..., Any]) -> None:
    server = launch_server("--drain-seconds", "1")
    done = threading.Event()
    with grpc.insecure_channel(server.address) as channel:
        AgentServiceStub(channel).Act(iter(done.wait, True))
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGINT)
        assert server.stop() == 0
        done.set()
    assert "Traceback" not in (server.folder / "server.log").read_text()
