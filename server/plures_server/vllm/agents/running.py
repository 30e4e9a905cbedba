"""A vLLM that runs in processes of its own, asked for tokens that go on from named states.

All calls are made by one thread at a time.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.exceptions import EngineDeadError

from ...errors import EngineStopped, StorageFailed
from .starting import start_engine
from .watching import Watch

CLOSE_SECONDS = 10
DEATH_SECONDS = 10
"""An engine that says that it is dying has ended by then."""


@dataclass(frozen=True)
class Call:
    """Tokens to read, from which state on, where to leave what became of it, and how to go on. None: newborn."""

    tokens: Sequence[int]
    load: str | None
    save: str
    params: dict[str, Any]

    def sampling(self) -> SamplingParams:
        params = {"save": self.save, "last": "drop"} | ({} if self.load is None else {"load": self.load})
        return SamplingParams(**self.params, extra_args={"kv_transfer_params": params})


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
        self._engine = start_engine(model, states, more)
        self.watch = Watch(self._engine)
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
        with self._alive():
            self._engine.add_request(key, {"prompt_token_ids": list(call.tokens)}, call.sampling())
        self._pending[key] = Pending()
        return key

    def step(self) -> None:
        """Wait until some of what was asked for has come; nothing is waited for when all has."""
        if all(pending.done for pending in self._pending.values()):
            return
        with self._alive():
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
        # A dead engine goes on with nothing.
        with suppress(EngineStopped), self._alive():
            self._engine.abort_request(list(keys))

    def close(self) -> None:
        self.watch.close()
        self._engine.engine_core.shutdown(timeout=CLOSE_SECONDS)

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """EngineStopped, when the engine is dead or dies meanwhile."""
        self.watch.require_alive()
        try:
            yield
        except EngineDeadError:
            raise self.watch.died.result(DEATH_SECONDS) from None
