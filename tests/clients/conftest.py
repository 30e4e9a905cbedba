"""Servers that fail on purpose: real gRPC, with servicers that a test writes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import grpc
import pytest

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
