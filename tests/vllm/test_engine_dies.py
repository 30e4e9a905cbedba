"""vLLM's engine is killed under `plures-server`: nobody waits for ever, and what was saved is there again."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import numpy as np
import pytest
from plures_client import Client
from plures_client.errors import Unavailable

from .helpers import byte_student, saved, wait_until
from .serving import LOG, launched, serving

HEARD_B = np.array([97, 98], np.int32)
LENGTH = {"max_model_len": 4096}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved(tmp_path / "poet", byte_student())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def engines(server: "Popen[str]") -> Iterator[int]:
    """Processes of vLLM's engine that the server has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, name = (folder / "status").read_text(), (folder / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if f"PPid:\t{server.pid}\n" in status and "EngineCore" in name:
            yield int(folder.name)


def test_when_the_engine_is_killed_callers_are_told_and_the_server_ends(model: Path, data: Path) -> None:
    with launched(model, data, LENGTH) as (server, address), Client(address) as client:
        cohort = client.cohorts.start("joe", student="poet", count=2)
        cohort.act(observation=HEARD_B)
        cohort.snapshot("before")
        told = cohort.fork("twin", copies=1, seed=cohort.describe().seed).act(observation=HEARD_B, want_log_probs=True)
        saying = cohort.say([97], max_tokens=4000)
        next(saying)
        (engine,) = engines(server)
        os.kill(engine, signal.SIGKILL)
        with pytest.raises(Unavailable, match="vLLM's engine has died") as caught:
            list(saying)
        assert caught.value.reason == "ENGINE_STOPPED"
        assert server.wait(30) == 1
    log = (data / LOG).read_text()
    assert re.search(r"^plures-server: vLLM's engine has died.*restore them$", log, re.MULTILINE), log
    with serving(model, data, LENGTH) as address, Client(address) as client:
        again = client.snapshots.restore("before", "again")
        known = again.act(observation=HEARD_B, want_log_probs=True)
        np.testing.assert_allclose(known.log_probs, told.log_probs, atol=1e-4, rtol=1e-4)


def test_when_the_server_is_killed_its_engine_ends_too(model: Path, data: Path) -> None:
    with launched(model, data, LENGTH) as (server, _):
        (engine,) = engines(server)
        server.kill()
        server.wait(30)
        wait_until(lambda: not Path(f"/proc/{engine}").exists())
