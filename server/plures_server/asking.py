"""What items ask of others: items that they put on queues, there if and only if their own results count.

N items of a wave or a share, C items that they ask for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from plures_kernels import counter

from .errors import InvalidArgument, TaskFailed
from .lanes import check_items
from .names import beside, check_id
from .queue.chunks import Child
from .queue.items import ItemBatch
from .tasks import Asks

ITEM_STREAM, SEED_STREAM = 3, 4
"""What an item asks for is named and seeded by the item alone: done again, it asks for the same."""


@dataclass(frozen=True)
class Asked:
    """Items asked for, and by whom: places int64 [C] in a batch, in order. `queue` None is the batch's own."""

    items: ItemBatch
    asker_C: NDArray[np.int64]
    queue: str | None

    def by(self, places: slice) -> "Asked":
        """What some of the batch ask for; places count from the first of them."""
        first, last = np.searchsorted(self.asker_C, [places.start, places.stop])
        return Asked(self.items.rows(slice(first, last)), self.asker_C[first:last] - places.start, self.queue)

    def counts(self, askers: int) -> NDArray[np.int64]:
        """How many items each asks for, int64 [askers]."""
        return np.bincount(self.asker_C, minlength=askers)

    def moved(self, place_N: NDArray[np.int64]) -> "Asked":
        """The same by places in another batch."""
        asker_C = place_N[self.asker_C]
        order_C = np.argsort(asker_C, kind="stable")
        return replace(self, items=self.items.rows(order_C), asker_C=asker_C[order_C])


def asked_by(items: ItemBatch, asks: Asks) -> Asked:
    """What a task says its copies ask for; they work on `items` [N]. Raises TaskFailed for what is not as promised."""
    row_C = asks.row_C.cpu().numpy()
    if row_C.dtype != np.int64 or asks.steps_C.dtype != torch.int64 or asks.parameters_CP.dtype != torch.float32:
        raise TaskFailed(f"task {items.task!r} asked with other types than int64 rows and steps, float32 parameters")
    if len(row_C) and (row_C.min() < 0 or row_C.max() >= len(items)):
        raise TaskFailed(f"task {items.task!r} asked for row {row_C.min()} to {row_C.max()} of {len(items)} copies")
    order_C = np.argsort(row_C, kind="stable")
    asker_C = row_C[order_C]
    number_C = np.arange(len(asker_C)) - np.searchsorted(asker_C, asker_C)
    wanted = ItemBatch(
        asks.task or items.task,
        _bits(items.item_N[asker_C], number_C, ITEM_STREAM),
        asks.parameters_CP.cpu().numpy()[order_C],
        _bits(items.seed_N[asker_C], number_C, SEED_STREAM),
        asks.steps_C.cpu().numpy()[order_C].clip(0, 2**32 - 1).astype(np.uint32),
        parent_N=items.item_N[asker_C],
    )
    return Asked(wanted, asker_C, asks.queue)


def children(asked: Sequence[Asked], askers: ItemBatch, queue: str, most: int) -> list[Child]:
    """The chunks that items of a queue put on queues of the same tenant's.

    Raises InvalidArgument when an item asks for more than `most`, or for what is no item.
    """
    counts_N = sum((part.counts(len(askers)) for part in asked), np.zeros(len(askers), np.int64))
    if counts_N.max() > most:
        busiest = counts_N.argmax()
        raise InvalidArgument(
            f"item {askers.item_N[busiest]} asks for {counts_N[busiest]} items; at most {most} it may"
        )
    return [child for part in asked if len(part.items) for child in _chunks(part, queue)]


def _chunks(asked: Asked, queue: str) -> list[Child]:
    asked.items.check()
    check_items(asked.items)
    target = None if asked.queue is None else beside(check_id(asked.queue, "queue"), queue)
    return [Child(chunk, None if target == queue else target) for chunk in asked.items.split()]


def _bits(seed_C: NDArray[np.uint64], number_C: NDArray[np.int64], stream: int) -> NDArray[np.uint64]:
    signed = torch.from_numpy(seed_C.view(np.int64).copy())
    return counter.bits(signed, torch.from_numpy(number_C), stream).numpy().view(np.uint64)
