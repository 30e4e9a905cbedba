"""A vLLM that runs in processes of its own, asked for tokens that go on from named states.

All calls are made by one thread at a time.
"""

import itertools
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from vllm import EngineArgs, SamplingParams
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.engine.llm_engine import LLMEngine

from ...errors import EngineStopped, InvalidArgument, StorageFailed
from ..config import FORMAT
from .hosted import is_student

log = logging.getLogger("plures.vllm")
# What vLLM logs goes where this server's own log goes; standard output is for the address.
QUIET = {"VLLM_NO_USAGE_STATS": "1", "VLLM_CONFIGURE_LOGGING": "0"}
CLOSE_SECONDS = 10
STUDENT_LENGTH = 8192
"""Tokens of one call to a student; its state has no limit of its own, and vLLM keeps room for a call of that length."""


@dataclass(frozen=True)
class Call:
    """Tokens to read, from which state on, where to leave what became of it, and how to go on. None: newborn."""

    tokens: Sequence[int]
    load: str | None
    save: str
    params: dict[str, Any]

    def sampling(self) -> SamplingParams:
        wish = {"save": self.save, "last": "drop"} | ({} if self.load is None else {"load": self.load})
        return SamplingParams(**self.params, extra_args={"kv_transfer_params": wish})


READ: dict[str, Any] = {
    "max_tokens": 1,
    "temperature": 0,
    "ignore_eos": True,
    "detokenize": False,
    "output_kind": RequestOutputKind.FINAL_ONLY,
}
"""To read alone; vLLM cannot be asked for less than one token, which is dropped."""


@dataclass
class Pending:
    """A call under way, and what has been answered to it and not yet taken."""

    outputs: list[Any] = field(default_factory=list)
    version: str = ""
    done: bool = False


class Running:
    """One model with named states in a folder. It takes about half a minute to start."""

    def __init__(self, model: str, states: Path, more: dict[str, Any]) -> None:
        """`more`: what vLLM's EngineArgs shall have beside, or instead of, what is needed here.

        InvalidArgument: vLLM does not take that, or not serve the model.
        """
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        if unknown := set(more) - {entry.name for entry in fields(EngineArgs)}:
            raise InvalidArgument(f"--vllm has {sorted(unknown)[0]!r}, which is none of vLLM's arguments")
        self._engine = _started(EngineArgs(**{**_arguments(model, states), **more}), model)
        self._numbers = itertools.count()
        self._pending: dict[str, Pending] = {}

    @property
    def config(self) -> Any:
        """vLLM's own, of the model."""
        return self._engine.vllm_config.model_config

    @property
    def tokenizer(self) -> Any:
        """Hugging Face's, or None."""
        return None if self.config.skip_tokenizer_init else self._engine.get_tokenizer()

    def begin(self, call: Call) -> str:
        """Ask, and go on without the answer, which bears this key."""
        key = f"plures-{next(self._numbers)}"
        with _alive():
            self._engine.add_request(key, {"prompt_token_ids": list(call.tokens)}, call.sampling())
        self._pending[key] = Pending()
        return key

    def step(self) -> None:
        """Wait until some of what was asked for has come; nothing is waited for when all has."""
        if all(pending.done for pending in self._pending.values()):
            return
        with _alive():
            outputs = self._engine.step()
        for output in outputs:
            if (pending := self._pending.get(output.request_id)) is None:
                continue  # given up meanwhile
            pending.outputs.append(output)
            pending.done = bool(output.finished)
            if output.kv_transfer_params:
                pending.version = output.kv_transfer_params["version"]

    def take(self, key: str) -> Pending:
        """What has come since this was asked last; StorageFailed when the call failed."""
        pending = self._pending[key]
        taken = Pending(pending.outputs, pending.version, pending.done)
        pending.outputs = []
        if pending.done:
            del self._pending[key]
            if not pending.version:
                raise StorageFailed("vLLM could not read or keep an agent's state; its log says why")
        return taken

    def ask(self, calls: Sequence[Call]) -> list[Pending]:
        """All answers, in their order. Calls that were begun go on meanwhile."""
        keys = [self.begin(call) for call in calls]
        while not all(self._pending[key].done for key in keys):
            self.step()
        return [self.take(key) for key in keys]

    def give_up(self, keys: Sequence[str]) -> None:
        """Nobody wants these answers any more."""
        for key in keys:
            self._pending.pop(key, None)
        with _alive():
            self._engine.abort_request(list(keys))

    def close(self) -> None:
        self._engine.engine_core.shutdown(timeout=CLOSE_SECONDS)


def _arguments(model: str, states: Path) -> dict[str, Any]:
    from vllm.config import KVTransferConfig

    named = KVTransferConfig(
        kv_connector="NamedStateConnector",
        kv_role="kv_both",
        # A cohort ends with the server, and what is to outlive it is a snapshot, so that nothing waits for the disk.
        kv_connector_extra_config={"folder": str(states), "sync_seconds": 60},
    )
    given = {"model": model, "enable_prefix_caching": False, "max_logprobs": -1, "max_num_seqs": 64}
    given |= {"kv_transfer_config": named, "disable_log_stats": True}
    if not is_student(model):
        return given
    ours = {"config_format": FORMAT, "dtype": "float32", "enforce_eager": True, "max_model_len": STUDENT_LENGTH}
    return given | ours | {"skip_tokenizer_init": not (Path(model) / "tokenizer.json").exists()}


def _started(arguments: EngineArgs, model: str) -> LLMEngine:
    try:
        with _without_main():
            return LLMEngine.from_engine_args(arguments)
    except (ValueError, RuntimeError, OSError) as error:
        raise InvalidArgument(f"vLLM does not serve {model}, and what it logs says why: {error}") from error


@contextmanager
def _without_main() -> Iterator[None]:
    """Start processes that do not import the program that runs: it imports numba, which vLLM's workers cannot bear."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


@contextmanager
def _alive() -> Iterator[None]:
    try:
        yield
    except EngineDeadError as error:
        raise EngineStopped("vLLM's engine has died, and its log says why; start this server anew") from error
