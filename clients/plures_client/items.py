"""Work for a queue: many items of one task, packed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from plures.v1.queue_pb2 import ResultsResponse, TaskItems

from .counter import bits
from .errors import InvalidArgument
from .names import full, short
from .tensors import cast, decode, encode

# Legend: I items, P parameters, S columns of a summary.

Rows: TypeAlias = NDArray[np.integer] | NDArray[np.bool_] | slice
ATTEMPT_STREAM = 16


@dataclass(frozen=True)
class Items:
    """Items of one task: row i of every array is one item.

    `item` is given back with the result; `seed` seeds the item's environment; `steps` are what a copy makes on it.
    """

    task: str
    item: NDArray[np.uint64]
    parameters: NDArray[np.float32]
    seed: NDArray[np.uint64]
    steps: NDArray[np.uint32]

    @classmethod
    def read_items(cls, message: TaskItems) -> Self:
        """Items as a server tells of them."""
        item = decode(message.item, np.uint64, (None,))
        return cls(
            task=short(message.task),
            item=item,
            parameters=decode(message.parameters, np.float32, (len(item), None)),
            seed=decode(message.seed, np.uint64, (len(item),)),
            steps=decode(message.steps, np.uint32, (len(item),)),
        )

    @classmethod
    def of(cls, task: str, parameters: ArrayLike, *, steps: ArrayLike, seed: int | ArrayLike) -> Self:
        """Items 0, 1, … of the rows of `parameters` [I, P]; `steps` is one number or one an item.

        A `seed` that is one number gives each item a seed of its own that follows from it.
        """
        parameters_IP = cast(parameters, np.float32)
        if parameters_IP.ndim != 2:
            raise InvalidArgument(f"parameters of shape {parameters_IP.shape} given; [items, parameters] are wanted")
        count = len(parameters_IP)
        return cls(
            task=short(task),
            item=np.arange(count, dtype=np.uint64),
            parameters=parameters_IP,
            seed=_rows(seeds(seed, count) if isinstance(seed, int) else seed, count, "seed", np.uint64),
            steps=_rows(steps, count, "steps", np.uint32),
        )

    def __len__(self) -> int:
        return len(self.item)

    @property
    def total_steps(self) -> int:
        """Steps of all items together."""
        return int(self.steps.sum(dtype=np.int64))

    def rows(self, rows: "Rows") -> Self:
        """Some of the items, in this order; one may be named more than once."""
        return replace(
            self,
            item=self.item[rows],
            parameters=self.parameters[rows],
            seed=self.seed[rows],
            steps=self.steps[rows],
        )

    def again(self, times: int, first: int = 0) -> Self:
        """Each item `times` times, one behind the other: its attempts number `first`, first + 1, ….

        Each attempt has a seed of its own; that of attempt 0 is the item's.
        """
        repeated = self.rows(np.repeat(np.arange(len(self)), times))
        attempt = np.tile(np.arange(first, first + times, dtype=np.uint64), len(self))
        return replace(repeated, seed=np.where(attempt, bits(repeated.seed, attempt, ATTEMPT_STREAM), repeated.seed))

    def digest(self) -> str:
        """What tells these items from others: a SHA-256 of all that they are."""
        parts = (self.item, self.parameters, self.seed, self.steps)
        return sha256(
            b"".join([self.task.encode(), *(np.ascontiguousarray(part).tobytes() for part in parts)])
        ).hexdigest()

    def numbered_from(self, first: int) -> Self:
        """The same items, called first, first + 1, …"""
        return replace(self, item=np.arange(first, first + len(self), dtype=np.uint64))

    def messages(self, most: int) -> Iterator[TaskItems]:
        """The items as messages of at most `most` items."""
        for first in range(0, len(self), most):
            rows = slice(first, first + most)
            yield TaskItems(
                task=full("tasks", self.task),
                item=encode(self.item[rows], np.uint64),
                parameters=encode(self.parameters[rows], np.float32),
                seed=encode(self.seed[rows], np.uint64),
                steps=encode(self.steps[rows], np.uint32),
            )


@dataclass(frozen=True)
class ResultBatch:
    """Some results of a queue: items [I] with their summaries [I, S], and which agents [I] of `cohort` did them.

    `parent` [I] is the item that asked for each: itself, when a client put it there; `asked` [I] how many each asked
    for. All is done when there are as many results as items put by clients and the sum of `asked`. `cursor` is where
    to go on after this batch.
    """

    cursor: str
    item: NDArray[np.uint64]
    summary: NDArray[np.float32]
    cohort: str
    ordinal: NDArray[np.uint32]
    parent: NDArray[np.uint64]
    asked: NDArray[np.uint32]

    @classmethod
    def read(cls, message: ResultsResponse) -> Self:
        item = decode(message.item, np.uint64, (None,))
        return cls(
            cursor=message.cursor,
            item=item,
            summary=decode(message.summary, np.float32, (len(item), None)),
            cohort=short(message.cohort),
            ordinal=decode(message.ordinal, np.uint32, (len(item),)),
            parent=decode(message.parent, np.uint64, (len(item),)),
            asked=decode(message.asked, np.uint32, (len(item),)),
        )

    def rows(self, rows: Rows) -> "ResultBatch":
        """Some of them."""
        return ResultBatch(
            self.cursor,
            self.item[rows],
            self.summary[rows],
            self.cohort,
            *(self.ordinal[rows], self.parent[rows], self.asked[rows]),
        )


def seeds(seed: int | Sequence[int], count: int) -> NDArray[np.uint64]:
    """`count` seeds that follow from one."""
    return np.random.SeedSequence(seed).generate_state(count, np.uint64).astype(np.uint64)


def parameter_rows(parameters: Mapping[str, ArrayLike] | ArrayLike, columns: Sequence[str]) -> NDArray[np.float32]:
    """Parameters by name, or as an array [P] or [agents, P], as float32 [1 or agents, P].

    Raises:
        InvalidArgument: a name is missing or not known, or the extents do not go together.
    """
    if not isinstance(parameters, Mapping):
        array: NDArray[np.float32] = np.atleast_2d(cast(parameters, np.float32))
    else:
        array = _by_name(parameters, columns)
    if array.ndim != 2 or array.shape[1] != len(columns):
        raise InvalidArgument(f"parameters of shape {array.shape} given; the task takes {', '.join(columns) or 'none'}")
    return array


def _by_name(parameters: Mapping[str, ArrayLike], columns: Sequence[str]) -> NDArray[np.float32]:
    if set(parameters) != set(columns):
        given, wanted = ", ".join(parameters) or "none", ", ".join(columns) or "none"
        raise InvalidArgument(f"parameters {given} given; the task takes {wanted}")
    values = [np.atleast_1d(cast(parameters[name], np.float32)) for name in columns]
    try:
        return np.stack(np.broadcast_arrays(*values), axis=-1) if values else np.empty((1, 0), np.float32)
    except ValueError:
        extents = ", ".join(f"{name} {value.shape}" for name, value in zip(columns, values, strict=True))
        raise InvalidArgument(f"parameters of different extents given: {extents}") from None


def _rows(values: ArrayLike, count: int, name: str, dtype: type[np.unsignedinteger[Any]]) -> NDArray[Any]:
    array = cast(values, dtype)
    if array.shape not in ((), (count,)):
        raise InvalidArgument(
            f"{name} of shape {array.shape} given for {count} items; one number or {count} are wanted"
        )
    return np.broadcast_to(array, (count,))
