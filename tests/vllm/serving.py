"""A real `plures-server --engine vllm`, in a process of its own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .helpers import QUIET

ROOT = Path(__file__).parents[2]
LOG = "server.log"


@contextmanager
def serving(model: Path, data: Path, vllm: dict[str, Any], *flags: str) -> Iterator[str]:
    """Its address; it has ended well when this has."""
    with launched(model, data, vllm, *flags) as (server, address):
        yield address
        server.terminate()
        assert server.wait(60) == 0, (data / LOG).read_text()[-4000:]


@contextmanager
def launched(
    model: Path, data: Path, vllm: dict[str, Any], *flags: str
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The process and its address; what it logs is in the folder of its data."""
    with (
        (data / LOG).open("w") as errors,
        subprocess.Popen(
            command(model, data, vllm, *flags), stdout=subprocess.PIPE, stderr=errors, text=True, env=environment()
        ) as server,
    ):
        assert server.stdout is not None
        line = server.stdout.readline()
        try:
            found = re.fullmatch(r"plures-server listens on (\S+)\n", line)
            assert found is not None, line + (data / LOG).read_text()[-4000:]
            yield server, found[1]
        finally:
            if server.poll() is None:
                server.terminate()


def command(model: Path, data: Path, vllm: dict[str, Any], *flags: str) -> list[str]:
    """What starts it."""
    parts = [str(Path(sys.executable).with_name("plures-server")), "--engine", "vllm", "--model", str(model)]
    parts += ["--data", str(data), "--port", "0", "--memory-gb", "0.1", "--log-level", "warning", *flags]
    return [*parts, "--vllm", json.dumps({"max_num_seqs": 16, **vllm})]


def environment() -> dict[str, str]:
    return {**os.environ, **QUIET, "PYTHONPATH": str(ROOT)}
