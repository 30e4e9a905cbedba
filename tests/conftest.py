"""What tests of several packages share: a small student, and a real server process."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from gymnasium.spaces import Discrete
from hypothesis import settings
from plures_students.checkpoint import save_checkpoint
from plures_students.config import StudentConfig
from plures_students.model import Student

# A busy machine is no finding.
settings.register_profile("plures", deadline=None)
settings.load_profile("plures")
# A shell starts what it runs in the background with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class ServerProcess:
    """A `plures-server` of its own folder; kill it, start it again."""

    folder: Path
    arguments: tuple[str, ...]
    address: str = ""
    process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        command = [str(Path(sys.executable).parent / "plures-server"), "--port", "0"]
        command += ["--students", str(self.folder / "students"), "--data", str(self.folder / "data"), *self.arguments]
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=_quiet())
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        found = re.search(r"listens on (\S+)", said)
        assert found, f"the server said {said!r}; its log: {(self.folder / 'server.log').read_text()[-2000:]}"
        self.address = found.group(1)

    def kill(self) -> None:
        """As a crash would: SIGKILL."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self._reap()

    def stop(self) -> int:
        """As an operator would: SIGTERM. Returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        status = self.process.wait(30)
        self.process.stdout.close()
        self.process = None
        return status


def _quiet() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="session")
def bandit_student() -> Student:
    """A student of the two-armed bandit that nobody has trained: what it does is arbitrary, but always the same."""
    torch.manual_seed(0)
    return Student(StudentConfig(Discrete(1), Discrete(2))).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def launch_server(
    tmp_path_factory: pytest.TempPathFactory, bandit_student: Student
) -> Iterator[Callable[..., ServerProcess]]:
    """Start a server with the student `bandit` loaded; every one is stopped at the end."""
    started: list[ServerProcess] = []

    def launch(*arguments: str) -> ServerProcess:
        server = ServerProcess(tmp_path_factory.mktemp("server"), arguments)
        card = {"seconds_per_decision": 0.37, "horizon": 100}
        save_checkpoint(server.folder / "students" / "bandit", bandit_student, card)
        server.start()
        started.append(server)
        return server

    yield launch
    for server in started:
        if server.process is not None:
            server.kill()


@pytest.fixture(scope="session")
def server(launch_server: Callable[..., ServerProcess]) -> ServerProcess:
    """One server for all tests that leave it as they found it: use cohort and queue names of your own."""
    return launch_server()
