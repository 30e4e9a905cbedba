"""`vllm serve --grpc`: named states over vLLM's own gRPC, which carries kv_transfer_params as JSON."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from .helpers import QUIET, saved, text_student

pytest.importorskip("smg_grpc_proto", reason="vLLM's gRPC needs smg-grpc-servicer; `make vllm` installs it")
A, B = [3, 1, 4, 1, 5, 9, 2, 6], [5, 3, 5]


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    folder = tmp_path_factory.mktemp("serve")
    connector = {
        "kv_connector": "NamedStateConnector",
        "kv_role": "kv_both",
        "kv_connector_extra_config": {"folder": str(folder / "states")},
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "plures_server.vllm",
        "serve",
        str(saved(folder / "m", text_student("gated_delta"))),
    ]
    command += ["--grpc", "--host", "127.0.0.1", "--port", str(port), "--config-format", "plures", "--dtype", "float32"]
    command += ["--max-model-len", "1024", "--enforce-eager", "--no-enable-prefix-caching", "--skip-tokenizer-init"]
    command += ["--max-num-seqs", "16", "--kv-transfer-config", json.dumps(connector)]
    environment = {**os.environ, **QUIET, "VLLM_PLUGINS": "plures"}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=environment) as server,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        try:
            grpc.channel_ready_future(channel).result(300)
            yield channel
        except grpc.FutureTimeoutError:
            pytest.fail((folder / "log").read_text()[-3000:])
        finally:
            server.terminate()


def generate(channel: grpc.Channel, tokens: list[int], steps: int, **named: Any) -> Any:
    """The whole answer of vLLM to a greedy call."""
    from smg_grpc_proto import vllm_engine_pb2 as pb
    from smg_grpc_proto import vllm_engine_pb2_grpc as rpc

    params = pb.SamplingParams(temperature=0, max_tokens=steps, ignore_eos=True, n=1, top_p=1, repetition_penalty=1)
    request = pb.GenerateRequest(
        request_id=os.urandom(8).hex(), tokenized=pb.TokenizedInput(input_ids=tokens), sampling_params=params
    )
    if named:
        request.kv_transfer_params_json = json.dumps(named)
    (answer,) = rpc.VllmEngineStub(channel).Generate(request, timeout=60)
    return answer.complete


def test_a_call_goes_on_from_a_name_and_leaves_one(channel: grpc.Channel) -> None:
    said = generate(channel, A, 5, save="joe")
    told = json.loads(said.kv_transfer_params_json)
    assert (told["saved"], told["tokens"], told["pending"]) == ("joe", len(A) + 4, list(said.output_ids)[-1:])
    whole = list(generate(channel, [*A, *said.output_ids, *B], 12).output_ids)
    assert list(generate(channel, B, 12, load="joe").output_ids) == whole
    assert list(generate(channel, B, 12).output_ids) != whole


def test_an_unknown_name_fails_alone(channel: grpc.Channel) -> None:
    answer = generate(channel, B, 3, load="nobody")
    assert (answer.finish_reason, list(answer.output_ids)) == ("error", [])
    assert len(generate(channel, B, 3).output_ids) == 3
