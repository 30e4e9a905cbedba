"""A cohort on the real server to try things on, and servers that fail on purpose: real gRPC, servicers of a test."""

import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import grpc
import pytest
import torch
from gymnasium.spaces import Discrete
from plures_client import Client, Cohort
from plures_client.errors import NotFound
from plures_students.checkpoint import save_checkpoint
from plures_students.config import StudentConfig
from plures_students.model import Student

from ..conftest import ServerProcess

Serve = Callable[[Callable[[grpc.Server], None]], str]


@contextmanager
def serving(add: Callable[[grpc.Server], None]) -> Iterator[str]:
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        add(server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(grace=None).wait()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server with what `add` adds to it, and give its address."""
    with ExitStack() as stack:
        yield lambda add: stack.enter_context(serving(add))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for a cohort or queue that no other test uses."""
    return f"t-{zlib.crc32(request.node.nodeid.encode()):x}"


@pytest.fixture
def client(server: Any) -> Iterator[Client]:
    """A client of the server that all tests share."""
    with Client(server.address) as client:
        yield client


@pytest.fixture
def cohort(client: Client, name: str) -> Iterator[Cohort]:
    """A hundred newborn agents, retired when the test is over."""
    cohort = client.cohorts.start(name, student="bandit", count=100, seed=7)
    yield cohort
    with suppress(NotFound):
        cohort.retire()


SPACES = {"walker": (81, 5), "optimiser": (6, 5), "leaper": (1, 5), "gambler": (1, 2)}


@pytest.fixture(scope="session")
def crowds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Cohort]]:
    """Cohorts of a hundred: walkers in mazes, optimisers, leapers, gamblers; on a server of their own."""
    server = ServerProcess(tmp_path_factory.mktemp("crowds"), ())
    for name, (observations, actions) in SPACES.items():
        torch.manual_seed(1)
        student = Student(StudentConfig(Discrete(observations), Discrete(actions))).eval()
        save_checkpoint(server.folder / "students" / name, student, {})
    server.start()
    with Client(server.address) as client:
        yield {name: client.cohorts.start(name, student=name, count=100, seed=2) for name in SPACES}
    server.kill()
