"""`vllm serve` with named states: completions that go on from a name, states by HTTP, and a teacher behind it."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plures_students.imitate.run import Imitation
from plures_students.imitate.settings import ImitationSettings
from plures_students.lives import split
from plures_students.llm import Endpoint, EndpointSettings, Recording
from plures_students.teachers import Bandit
from plures_students.text import save_byte_tokenizer

from .helpers import QUIET, byte_student, saved

KEY = "hush"


@dataclass
class Served:
    """A `vllm serve` and how to ask it."""

    url: str
    log: Path

    def __call__(self, method: str, path: str, body: Any = None, key: str = KEY) -> tuple[int, Any]:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                status, said, kind = response.status, response.read(), response.headers["content-type"]
        except urllib.error.HTTPError as error:
            status, said, kind = error.code, error.read(), error.headers["content-type"]
        return status, json.loads(said) if kind == "application/json" else said

    def says(self, prompt: str, tokens: int = 12, **wish: Any) -> str:
        status, form = self.complete(prompt, tokens, **wish)
        assert status == 200, form
        return str(form["choices"][0]["text"])

    def complete(self, prompt: str, tokens: int = 12, **wish: Any) -> tuple[int, Any]:
        body = {"model": "bytes", "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
        # Letters alone, so that what is said can be sent again as text.
        body["logit_bias"] = {str(letter): 100 for letter in range(97, 123)}
        return self("POST", "/completions", {**body, "kv_transfer_params": wish} if wish else body)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("serve")
    model = saved(folder / "model", byte_student())
    save_byte_tokenizer(model)
    connector = {
        "kv_connector": "NamedStateConnector",
        "kv_role": "kv_both",
        "kv_connector_extra_config": {"folder": str(folder / "states")},
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "plures_server.vllm", "serve", str(model), "--config-format", "plures"]
    command += ["--served-model-name", "bytes", "--dtype", "float32", "--max-model-len", "2048", "--enforce-eager"]
    command += ["--no-enable-prefix-caching", "--max-num-seqs", "16", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--api-key", KEY, "--kv-transfer-config", json.dumps(connector)]
    server = Served(f"http://127.0.0.1:{port}/v1", folder / "log")
    with (
        server.log.open("w") as log,
        subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **QUIET, "VLLM_PLUGINS": "plures"}
        ) as process,
    ):
        _wait_until_healthy(server, process)
        yield server
        process.terminate()
        process.wait(60)


def _wait_until_healthy(server: Served, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 600
    while time.monotonic() < until:
        assert process.poll() is None, server.log.read_text()[-3000:]
        try:
            urllib.request.urlopen(server.url.removesuffix("/v1") + "/health", timeout=5).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise AssertionError(server.log.read_text()[-3000:])


def test_text_goes_on_from_a_name(served: Served) -> None:
    said = served.says("ex uno ", save="joe")
    assert served.says("plures", load="joe") == served.says(f"ex uno {said}plures")


def test_states_are_listed_forked_merged_and_deleted(served: Served) -> None:
    _, form = served.complete("ab", 1, save="root", last="drop")
    assert form["kv_transfer_params"]["saved"] == "root"
    whole = served.says("abcd")
    assert served.says("cd", load="root") == whole
    assert served("POST", "/states", {"from": ["root"], "name": "twin"})[0] == 200
    status, merged = served("POST", "/states", {"from": ["root", "twin"], "name": "both"})
    assert (status, merged["tokens"], merged["pending"]) == (200, 2, [])
    assert served.says("cd", load="both") == whole
    _, listed = served("GET", "/states")
    assert {"both", "root", "twin"} <= {state["name"] for state in listed["states"]}
    assert served("GET", "/states/twin")[1]["version"] == served("GET", "/states/root")[1]["version"]
    assert served("DELETE", "/states/twin") == (200, {"deleted": "twin"})
    assert served("GET", "/states/twin")[0] == 404


def test_a_state_goes_out_and_comes_in_again(served: Served) -> None:
    served.says("abc", 1, save="out", last="drop")
    served.says("d", 1, load="out")
    status, file = served("GET", "/states/out/file")
    assert status == 200
    assert served("PUT", "/states/in/file", file)[0] == 200
    assert served.says("d", load="in") == served.says("abcd")
    assert served("PUT", "/states/in/file", file)[0] == 409
    assert served("PUT", "/states/bad/file", file[:-40])[0] == 422


@pytest.mark.parametrize(
    ("wish", "status", "words"),
    [
        ({"load": "nobody"}, 404, "there is no state 'nobody'"),
        ({"load": "../up"}, 400, "is no name of a state"),
        ({"lod": "joe"}, 400, "it may have load, save, last"),
    ],
    ids=["unknown", "outside", "typo"],
)
def test_what_is_wrong_with_a_wish_is_said(served: Served, wish: dict[str, str], status: int, words: str) -> None:
    answered, form = served.complete("x", **wish)
    assert (answered, words in form["error"]["message"]) == (status, True), form
    assert served.says("x")


def test_states_reach_the_disk_when_it_is_asked_for(served: Served) -> None:
    assert served.complete("ab", 1, save="asked", sync=True)[0] == 200
    assert served.complete("ab", 1, save="soon")[0] == 200
    assert served.says("cd", load="soon")  # published
    assert served("POST", "/states:sync") == (200, {"synced": True})
    folder = served.log.parent / "states"
    assert {"asked.state", "soon.state"} <= {path.name for path in folder.glob("*.state")}
    assert served.complete("ab", 1, save="x", sync="often")[0] == 400


def test_states_are_behind_the_key(served: Served) -> None:
    assert served("GET", "/states", key="loud")[0] == 401


def test_a_model_behind_an_endpoint_is_recorded_and_imitated(served: Served, tmp_path: Path) -> None:
    """It is noise: its lives are whole, and a student foretells them about as well as noise can be."""
    extra = {"max_tokens": 1, "temperature": 1.0, "logit_bias": {"65": 100, "66": 100}}
    settings = EndpointSettings(served.url, "bytes", KEY, extra=extra)

    async def record() -> Any:
        async with Endpoint(settings) as endpoint:
            return await Recording(Bandit(arms=2), "bytes", 24, 20, tmp_path / "lives").run(endpoint)

    data = asyncio.run(record())
    assert data.lengths.tolist() == [20] * 24
    assert (data.extra["completion_tokens"] == 1).all()
    assert (np.diff(data.extra["prompt_tokens"].reshape(24, 20)) > 0).all()
    train, test = split(data, 0.75, 0)
    few = ImitationSettings(steps=30, batch=256, short=20, length=20, validate_every=10, rehearse=False)
    report = Imitation(train, test, tmp_path / "student", "gated_delta", few).run()
    assert report["test"]["predictors"]["student"]["nll"] < np.log(2) + 0.05
