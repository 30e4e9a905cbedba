"""Task items on the wire and in the queue. N items, P parameters of their task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plures.v1 import queue_pb2, tensor_pb2

from ..errors import InvalidArgument
from ..names import parse_task
from ..rpc.convert import tensor_to, typed_array
from .chunks import Chunk

CHUNK_ITEMS = 256
"""Items in a chunk: enough to make the store's cost per item small, few enough to be given up together."""

Column = NDArray[Any]


@dataclass(frozen=True)
class ItemBatch:
    """Items of one task: row i of every array is one item. The arrays are read-only.

    item_N: uint64. parameters_NP: float32. seed_N: uint64. steps_N: uint32, at least 1. parent_N: uint64, the items
    that asked for these; None when a client did.
    """

    task: str
    item_N: Column
    parameters_NP: Column
    seed_N: Column
    steps_N: Column
    parent_N: Column | None = None

    @property
    def asker_N(self) -> Column:
        """The item that asked for each, uint64 [N]: itself, when a client did."""
        return self.item_N if self.parent_N is None else self.parent_N

    def __len__(self) -> int:
        return len(self.item_N)

    @classmethod
    def decode(cls, message: queue_pb2.TaskItems) -> "ItemBatch":
        """From the wire. Raises InvalidArgument when the tensors do not fit the contract or each other."""
        batch = cls(
            parse_task(message.task),
            typed_array(message.item, "item", tensor_pb2.DATA_TYPE_UINT64, axes=1),
            typed_array(message.parameters, "parameters", tensor_pb2.DATA_TYPE_FLOAT32, axes=2),
            typed_array(message.seed, "seed", tensor_pb2.DATA_TYPE_UINT64, axes=1),
            typed_array(message.steps, "steps", tensor_pb2.DATA_TYPE_UINT32, axes=1),
            typed_array(message.parent, "parent", tensor_pb2.DATA_TYPE_UINT64, axes=1)
            if message.HasField("parent")
            else None,
        )
        batch.check()
        return batch

    @classmethod
    def load(cls, payload: bytes) -> "ItemBatch":
        """From a chunk of the queue."""
        return cls.decode(queue_pb2.TaskItems.FromString(payload))

    def encode(self) -> queue_pb2.TaskItems:
        """To the wire."""
        return queue_pb2.TaskItems(
            task=f"tasks/{self.task}",
            item=tensor_to(self.item_N),
            parameters=tensor_to(self.parameters_NP),
            seed=tensor_to(self.seed_N),
            steps=tensor_to(self.steps_N),
            parent=None if self.parent_N is None else tensor_to(self.parent_N),
        )

    def split(self, chunk_items: int = CHUNK_ITEMS) -> list[Chunk]:
        """The items in order, in chunks of at most `chunk_items`."""
        firsts = range(0, len(self), chunk_items)
        return [self.rows(slice(first, first + chunk_items))._chunk() for first in firsts]

    @classmethod
    def join(cls, batches: "Sequence[ItemBatch]") -> "ItemBatch":
        """Batches of one task as one."""
        columns = zip(*((b.item_N, b.parameters_NP, b.seed_N, b.steps_N, b.asker_N) for b in batches), strict=True)
        item_N, parameters_NP, seed_N, steps_N, asker_N = map(np.concatenate, columns)
        return cls(batches[0].task, item_N, parameters_NP, seed_N, steps_N, asker_N)

    def rows(self, rows: "slice | NDArray[np.int64]") -> "ItemBatch":
        """Some of the items."""
        parent_N = None if self.parent_N is None else self.parent_N[rows]
        item_N, seed_N, steps_N = self.item_N[rows], self.seed_N[rows], self.steps_N[rows]
        return ItemBatch(self.task, item_N, self.parameters_NP[rows], seed_N, steps_N, parent_N)

    def _chunk(self) -> Chunk:
        return Chunk(self.encode().SerializeToString(), len(self), self.task)

    def check(self) -> None:
        """Raise InvalidArgument unless there are items, of one row in each array and at least one step."""
        if len(self) == 0:
            raise InvalidArgument("there are no items; send at least one")
        columns = {"parameters": self.parameters_NP, "seed": self.seed_N, "steps": self.steps_N, "parent": self.asker_N}
        for name, column in columns.items():
            if len(column) != len(self):
                raise InvalidArgument(f"{name} has {len(column)} rows for {len(self)} items; give each item one")
        if not self.steps_N.all():
            raise InvalidArgument(f"item {self.item_N[np.argmin(self.steps_N)]} has 0 steps; give it at least 1")
