"""Named states as vLLM's worker sees them: copies between blocks and files."""

import logging
import math
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import torch
from plures_kernels.errors import InvalidArgument, PluresError
from torch import Tensor

from .errors import StateMismatch
from .folder import StateFolder
from .orders import Load, Orders, Outcomes, Save
from .state_file import State
from .syncing import Syncer

log = logging.getLogger("vllm.plures")
WRITERS = 4
# Layers, by name, and each one's tensors, [blocks, …].
Caches = Mapping[str, Sequence[Tensor]]


class Hot:
    """States by version in memory, the least recently used of which go first; all of them are on the disk as well."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._states: OrderedDict[str, State] = OrderedDict()
        self._bytes = 0

    def get(self, version: str) -> State | None:
        if version in self._states:
            self._states.move_to_end(version)
        return self._states.get(version)

    def put(self, state: State) -> None:
        if state.facts.version in self._states:
            return
        self._states[state.facts.version] = state
        self._bytes += state.nbytes
        while self._bytes > self._limit and self._states:
            self._bytes -= self._states.popitem(last=False)[1].nbytes


@dataclass(frozen=True)
class Keeping:
    """How states are kept. memory_mb: of those used last, in memory as well.

    sync_seconds: saves go to the disk together, so often; 0: each before it goes by its name. unsynced_mb: what may
    wait for that; what is saved beyond it goes to the disk at once.
    """

    memory_mb: float = 256
    sync_seconds: float = 1
    unsynced_mb: float = 64

    @classmethod
    def of(cls, extra: Mapping[str, Any]) -> "Keeping":
        """As the connector is told. InvalidArgument: what is no number from 0 on."""
        given = {entry.name: extra[entry.name] for entry in fields(cls) if entry.name in extra}
        for name, value in given.items():
            if type(value) not in (int, float) or not 0 <= value < math.inf:
                raise InvalidArgument(f"{name} {value!r} in kv_connector_extra_config is no number from 0 on")
        return cls(**given)


class Working:
    """The worker's side of the connector. `caches` is asked for at every copy, since vLLM may bind them anew."""

    def __init__(self, folder: StateFolder, model: str, keeping: Keeping) -> None:
        self._folder, self._model = folder, model
        self._hot = Hot(int(keeping.memory_mb * 2**20))
        self._syncer = Syncer(folder, keeping.sync_seconds, int(keeping.unsynced_mb * 2**20))
        # A name has one writer, so that its states are published in the order in which they were.
        self._writers = [ThreadPoolExecutor(1, "save-state") for _ in range(WRITERS)]
        self._writing: dict[str, Future[None]] = {}
        self._copied: set[str] = set()
        self._loaded: set[str] = set()
        self._failed: set[str] = set()

    def carry_out(self, orders: Orders, caches: Caches) -> None:
        for save in orders.saves:
            self._save(save, caches)
        for load in orders.loads:
            self._load(load, caches)
        self._failed |= {refusal.request for refusal in orders.refusals}

    def take_copied(self) -> set[str]:
        """Requests whose blocks are free again."""
        copied, self._copied = self._copied, set()
        return copied

    def take_loaded(self) -> tuple[set[str], set[str]]:
        """Requests that have what they waited for, or will not; and those that will not."""
        loaded, failed = self._loaded | self._failed, self._failed
        self._loaded, self._failed = set(), set()
        return loaded, failed

    def take_outcomes(self) -> Outcomes | None:
        """Of the saves that have ended since."""
        done = {version for version, future in self._writing.items() if future.done()}
        saved = {version: _failure(self._writing.pop(version)) for version in done}
        return Outcomes(saved) if saved else None

    def close(self) -> None:
        """Wait until all that was promised is on the disk."""
        for writer in self._writers:
            writer.shutdown(wait=True)
        self._syncer.close()

    def _save(self, save: Save, caches: Caches) -> None:
        tensors = {
            f"{layer}.{number}": tensor[save.block].to("cpu", copy=True)
            for layer, parts in caches.items()
            for number, tensor in enumerate(parts)
        }
        state = State(save.facts, tensors)
        self._hot.put(state)
        self._copied.add(save.request)
        writer = self._writers[zlib.crc32(save.name.encode()) % WRITERS]
        self._writing[save.facts.version] = writer.submit(self._syncer.save, save.name, state, save.syncs)

    def _load(self, load: Load, caches: Caches) -> None:
        try:
            state = self._state(load)
            for layer, parts in caches.items():
                for number, tensor in enumerate(parts):
                    _copy(state, f"{layer}.{number}", tensor[load.block])
        except PluresError as error:
            log.error("state %s was not loaded: %s", load.name, error)
            self._failed.add(load.request)
        else:
            self._loaded.add(load.request)

    def _state(self, load: Load) -> State:
        if (hot := self._hot.get(load.version)) is not None:
            return hot
        state = self._folder.load(load.name, self._model)
        if state.facts.version != load.version:
            raise StateMismatch(f"state {load.name!r} was saved anew while a request waited for what it was; ask again")
        self._hot.put(state)
        return state


def _copy(state: State, key: str, target: Tensor) -> None:
    source = state.tensors.get(key)
    if source is None or source.shape != target.shape or source.dtype != target.dtype:
        has = "nothing" if source is None else f"{source.dtype} {list(source.shape)}"
        raise StateMismatch(f"the state has {has} for {key}, the model {target.dtype} {list(target.shape)}")
    with torch.inference_mode():
        target.copy_(source)


def _failure(write: Future[None]) -> str | None:
    error = write.exception()
    if error is None or isinstance(error, PluresError):
        return None if error is None else str(error)
    raise error
