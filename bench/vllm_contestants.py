"""Who can go on with agents that have a history by one token each: our engine, and vLLM in three ways.

Every contestant has `remember`, which is not measured, and `step`, which is: one token for each of some agents.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from plures_server.act_request import ActRequest
from plures_server.engine import Engine, EngineConfig
from plures_server.pool import PoolConfig
from plures_server.students import ServedStudent, Students
from plures_students.model import Student

History = Sequence[int]
COHORT, STUDENT = "agents", "bench"


class Contestant(Protocol):
    def remember(self, histories: Sequence[History]) -> None:
        """Have so many agents that have lived these histories."""

    def step(self, histories: Sequence[History], token: int) -> int:
        """One token more for each; tokens of history that were not computed again, of the first agent."""


class Ours:
    """Our engine in this process. What it does at a step does not depend on the history, so that none is lived."""

    def __init__(self, student: Student, agents: int) -> None:
        served = ServedStudent(STUDENT, student, {}, "0" * 64)
        pool = PoolConfig(2 * agents + 16, 4 * (agents + 16) * served.page_bytes)
        self._engine = Engine(EngineConfig(), pool, Students([served]), torch.device("cpu"))
        self._engine.start()
        self._alive = False

    def remember(self, histories: Sequence[History]) -> None:
        async def start() -> None:
            if self._alive:
                await self._engine.call(lambda pool: pool.retire(COHORT, None))
            await self._engine.call(lambda pool: pool.start(COHORT, STUDENT, len(histories), 0))
            self._alive = True

        asyncio.run(start())

    def step(self, histories: Sequence[History], token: int) -> int:
        asyncio.run(self._act(len(histories), token))
        return len(histories[0])

    async def _act(self, agents: int, token: int) -> None:
        await self._engine.act(ActRequest(COHORT, None, observation=torch.full((agents,), token, dtype=torch.int32)))

    def close(self) -> None:
        self._engine.stop()


class Vllm:
    """vLLM's offline engine, on one checkpoint. `cached`: with prefix caching; else it can keep named states."""

    def __init__(self, checkpoint: Path, cached: bool, longest: int) -> None:
        from vllm import LLM

        self._states = tempfile.TemporaryDirectory()
        named = {
            "kv_connector": "NamedStateConnector",
            "kv_role": "kv_both",
            "kv_connector_extra_config": {"folder": self._states.name},
        }
        ways: dict[str, Any] = {"block_size": 32} if cached else {"kv_transfer_config": named}
        self._llm = LLM(
            model=str(checkpoint), config_format="plures", dtype="float32", skip_tokenizer_init=True,
            enforce_eager=True, max_model_len=longest, max_num_seqs=256, enable_prefix_caching=cached, **ways,
        )  # fmt: skip

    def ask(self, prompts: Sequence[list[int]], transfers: Sequence[dict[str, Any] | None]) -> list[Any]:
        from vllm import SamplingParams

        params = [
            SamplingParams(
                temperature=0, max_tokens=1, ignore_eos=True, detokenize=False,
                extra_args=None if transfer is None else {"kv_transfer_params": transfer},
            )
            for transfer in transfers
        ]  # fmt: skip
        return list(self._llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], params, use_tqdm=False))

    def close(self) -> None:
        self._llm.llm_engine.engine_core.shutdown()
        self._states.cleanup()


class Resent:
    """The whole history is sent with each token; what is in a prefix cache need not be computed again."""

    def __init__(self, vllm: Vllm) -> None:
        self._vllm = vllm

    def remember(self, histories: Sequence[History]) -> None:
        self._vllm.ask([list(history) for history in histories], [None] * len(histories))

    def step(self, histories: Sequence[History], token: int) -> int:
        outputs = self._vllm.ask([[*history, token] for history in histories], [None] * len(histories))
        return int(outputs[0].num_cached_tokens or 0)


class Named:
    """Each agent has a state by name, which a call goes on from and leaves again; `sync`: on the disk, each time."""

    def __init__(self, vllm: Vllm, sync: bool = False) -> None:
        self._vllm = vllm
        self._save = {"last": "drop", "sync": sync}

    def remember(self, histories: Sequence[History]) -> None:
        transfers = [{"save": name, "last": "drop"} for name in self._names(histories)]
        self._vllm.ask([list(history) for history in histories], list(transfers))

    def step(self, histories: Sequence[History], token: int) -> int:
        transfers = [{"load": name, "save": name, **self._save} for name in self._names(histories)]
        self._vllm.ask([[token]] * len(histories), transfers)
        return len(histories[0])

    def _names(self, histories: Sequence[History]) -> list[str]:
        return [f"agent-{number}" for number in range(len(histories))]
