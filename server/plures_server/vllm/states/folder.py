"""A folder of named states: every change appears whole or not at all, whichever process makes it, whenever it dies."""

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plures_kernels.errors import InvalidArgument
from torch import Tensor

from ...durable.lock import held
from ...errors import AlreadyExists, DataFolderInUse, StorageFailed
from .errors import DamagedState, StateMismatch, UnknownState
from .shelf import Shelf
from .state_file import Facts, State, encode, read_facts, read_state

log = logging.getLogger("vllm.plures")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def check_name(name: object) -> str:
    """The name; InvalidArgument unless it is 1–128 of letters, digits, `.`, `_`, `-`, the first a letter or digit."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"{str(name)[:140]!r} is no name of a state: use 1 to 128 letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit"
        )
    return name


class StateFolder:
    """States by name. Files are replaced, never changed, so that who reads one reads all of it.

    `limit_bytes`: what all states together may take on the disk; None for no limit.
    """

    def __init__(self, path: Path, limit_bytes: int | None = None) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self.limit_bytes = limit_bytes
        self._shelf = Shelf(path)

    @classmethod
    def configured(cls, extra: Mapping[str, Any]) -> "StateFolder":
        """The folder that `kv_connector_extra_config` names, with the limit that it sets; raise InvalidArgument."""
        if not isinstance(extra.get("folder"), str):
            raise InvalidArgument('named states need a folder: {"kv_connector_extra_config": {"folder": "states"}}')
        limit = extra.get("disk_mb")
        return cls(Path(extra["folder"]), None if limit is None else int(float(limit) * 2**20))

    @contextmanager
    def served(self) -> Iterator[None]:
        """Hold the folder as its one server. What an earlier one left half written is cleared, and what was lost with
        the machine's power gives way to the state before.

        DataFolderInUse: another server has it.
        """
        try:
            lock = held(self.path / ".server")
            with lock:
                for name in self._shelf.recover(_is_whole):
                    log.warning("the last save of state %s did not reach the disk; it is as it was before", name)
                yield
        except DataFolderInUse:
            raise DataFolderInUse(
                f"another server keeps its states in {self.path}: stop that one, or give this one another folder"
            ) from None

    def names(self) -> list[str]:
        return sorted(self._shelf.names())

    @property
    def nbytes(self) -> int:
        """What all states take on the disk."""
        return self._shelf.nbytes

    def has(self, name: str) -> bool:
        return self._shelf.has(check_name(name))

    def facts(self, name: str) -> Facts:
        """UnknownState, DamagedState."""
        with _known(name):
            return self._shelf.read(check_name(name), read_facts)

    def load(self, name: str, model: str | None = None) -> State:
        """The state; StateMismatch when it is not one of the model. UnknownState, DamagedState."""
        with _known(name):
            state = self._shelf.read(check_name(name), read_state)
        if model is not None:
            require_model(name, state.facts, model)
        return state

    def save(self, name: str, state: State, durable: bool = True) -> None:
        """Publish a state under a name, in the place of the one before. StorageFailed.

        One that is not durable outlives the death of every process, but before the next `sync` not a loss of power:
        the state of that name that was on the disk is then there again.
        """
        data = encode(state)
        self.require_room(len(data))
        with _storing():
            self._shelf.put(check_name(name), data, durable)

    def sync(self) -> None:
        """Have every state that is there now on the disk. StorageFailed."""
        with _storing():
            self._shelf.sync()

    def require_room(self, nbytes: int) -> None:
        """StorageFailed unless so many bytes more are within the limit."""
        if self.limit_bytes is not None and (total := self.nbytes + nbytes) > self.limit_bytes:
            raise StorageFailed(
                f"states would take {total} bytes, and may take {self.limit_bytes}; delete some, or raise the limit"
            )

    def fork(self, name: str, copy: str) -> Facts:
        """Give a state another name too; the file is shared until one of them is saved anew. O(1)."""
        check_name(name)
        with _known(name), _new(copy), _storing():
            self._shelf.link(name, check_name(copy))
        return self.facts(copy)

    def merge(self, names: Sequence[str], merged: str, weights: Sequence[float] | None = None) -> Facts:
        """The weighted mean of states (equal weights when None) under a new name.

        StateMismatch: states of several models, or whose pending tokens differ.
        """
        if not names or (weights is not None and not _fit(weights, len(names))):
            raise InvalidArgument(
                f"{len(names)} states with {weights} as weights cannot be merged; give each state a finite number"
            )
        self._check_free(merged)
        states = [self.load(name) for name in names]
        shares = weights or [1 / len(names)] * len(names)
        facts = _together(names, [state.facts for state in states])
        tensors = {key: _mean([s.tensors[key] for s in states], shares) for key in states[0].tensors}
        self._add(merged, State(facts.renewed(), tensors))
        return self.facts(merged)

    def export(self, name: str, file: Path) -> None:
        """Copy a state to a file of its own, wherever that is."""
        with _known(name):
            file.write_bytes(self._shelf.read(check_name(name), Path.read_bytes))

    def import_(self, name: str, file: Path) -> Facts:
        """Take a state from a file, all of it checked. DamagedState, AlreadyExists."""
        self._check_free(name)
        try:
            state = read_state(file)
        except FileNotFoundError:
            raise UnknownState(f"there is no file {file}") from None
        self._add(name, state)
        return self.facts(name)

    def delete(self, name: str, durable: bool = True) -> None:
        """UnknownState. One that is not durable may be there again after a loss of power."""
        with _known(name):
            self._shelf.remove(check_name(name), durable)

    def _add(self, name: str, state: State) -> None:
        data = encode(state)
        self.require_room(len(data))
        with _new(name), _storing():
            self._shelf.add(name, data)

    def _check_free(self, name: str) -> None:
        if self.has(name):
            raise _taken(name)


def require_model(name: str, facts: Facts, model: str) -> None:
    if facts.model != model:
        raise StateMismatch(
            f"state {name!r} belongs to model {facts.model}, and this is {model}; serve that one, or take another state"
        )


def _is_whole(path: Path) -> bool:
    try:
        read_state(path)
    except DamagedState:
        return False
    return True


@contextmanager
def _known(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise UnknownState(f"there is no state {name!r}; save one under that name first") from None


@contextmanager
def _new(name: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise _taken(name) from None


@contextmanager
def _storing() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        raise StorageFailed(f"the folder of states cannot be written: {error.strerror}; free some room") from error


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"there is a state {name!r}; take another name, or delete it first")


def _fit(weights: Sequence[object], count: int) -> bool:
    return len(weights) == count and all(isinstance(one, int | float) and math.isfinite(one) for one in weights)


def _together(names: Sequence[str], facts: Sequence[Facts]) -> Facts:
    first = facts[0]
    for name, other in zip(names, facts, strict=True):
        require_model(name, other, first.model)
        if other.pending != first.pending:
            raise StateMismatch(
                f"states {names[0]!r} and {name!r} have yet to read {first.pending} and {other.pending}; "
                "only states that wait for the same tokens merge: save them with last='drop'"
            )
    return Facts(first.model, max(one.tokens for one in facts), first.pending)


def _mean(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    if not tensors[0].is_floating_point():
        raise StateMismatch(f"states hold {tensors[0].dtype}, which has no mean")
    total = sum((weight * tensor.double() for weight, tensor in zip(weights, tensors, strict=True)))
    mean: Tensor = total.to(tensors[0].dtype)  # type: ignore[union-attr]
    return mean
