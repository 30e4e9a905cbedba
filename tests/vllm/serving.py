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


@contextmanager
def serving(model: Path, data: Path, vllm: dict[str, Any], *flags: str) -> Iterator[str]:
    """Its address; it has ended well when this has."""
    command = [str(Path(sys.executable).with_name("plures-server")), "--engine", "vllm", "--model", str(model)]
    command += ["--data", str(data), "--port", "0", "--memory-gb", "0.1", "--log-level", "warning", *flags]
    command += ["--vllm", json.dumps({"max_num_seqs": 16, **vllm})]
    environment = {**os.environ, **QUIET, "PYTHONPATH": str(ROOT)}
    log = data / "server.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as server,
    ):
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.fullmatch(r"plures-server listens on (\S+)\n", line)
        if found is None:
            server.kill()
        assert found is not None, line + log.read_text()[-4000:]
        try:
            yield found[1]
        finally:
            server.terminate()
        assert server.wait(60) == 0, log.read_text()[-4000:]
