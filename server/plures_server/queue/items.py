"""Task items on the wire and in the queue. N items, P parameters of their task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plures.v1 import queue_pb2, tensor_pb2

from ..errors import InvalidArgument
from ..names import parse
from ..rpc.convert import tensor_to, typed_array
from .chunks import Chunk

CHUNK_ITEMS = 256
"""Items in a chunk: enough to make the store's cost per item small, few enough to be given up together."""

Column = NDArray[Any]


@dataclass(frozen=True)
class ItemBatch:
    """Items of one task: row i of every array is one item. The arrays are read-only.

    item_N: uint64. parameters_NP: float32. seed_N: uint64. steps_N: uint32, at least 1.
    """

    task: str
    item_N: Column
    parameters_NP: Column
    seed_N: Column
    steps_N: Column

    def __len__(self) -> int:
        return len(self.item_N)

    @classmethod
    def decode(cls, message: queue_pb2.TaskItems) -> "ItemBatch":
        """From the wire. Raises InvalidArgument when the tensors do not fit the contract or each other."""
        batch = cls(
            parse(message.task, "tasks"),
            typed_array(message.item, "item", tensor_pb2.DATA_TYPE_UINT64, axes=1),
            typed_array(message.parameters, "parameters", tensor_pb2.DATA_TYPE_FLOAT32, axes=2),
            typed_array(message.seed, "seed", tensor_pb2.DATA_TYPE_UINT64, axes=1),
            typed_array(message.steps, "steps", tensor_pb2.DATA_TYPE_UINT32, axes=1),
        )
        batch._check_rows()
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
        )

    def split(self, chunk_items: int = CHUNK_ITEMS) -> list[Chunk]:
        """The items in order, in chunks of at most `chunk_items`."""
        firsts = range(0, len(self), chunk_items)
        return [self.rows(slice(first, first + chunk_items))._chunk() for first in firsts]

    @classmethod
    def join(cls, batches: "Sequence[ItemBatch]") -> "ItemBatch":
        """Batches of one task as one."""
        columns = zip(*((b.item_N, b.parameters_NP, b.seed_N, b.steps_N) for b in batches), strict=True)
        return cls(batches[0].task, *map(np.concatenate, columns))

    def rows(self, rows: "slice | NDArray[np.int64]") -> "ItemBatch":
        """Some of the items."""
        return ItemBatch(self.task, self.item_N[rows], self.parameters_NP[rows], self.seed_N[rows], self.steps_N[rows])

    def _chunk(self) -> Chunk:
        return Chunk(self.encode().SerializeToString(), len(self))

    def _check_rows(self) -> None:
        if len(self) == 0:
            raise InvalidArgument("there are no items; send at least one")
        for name, column in (("parameters", self.parameters_NP), ("seed", self.seed_N), ("steps", self.steps_N)):
            if len(column) != len(self):
                raise InvalidArgument(f"{name} has {len(column)} rows for {len(self)} items; give each item one")
        if not self.steps_N.all():
            raise InvalidArgument(f"item {self.item_N[np.argmin(self.steps_N)]} has 0 steps; give it at least 1")
