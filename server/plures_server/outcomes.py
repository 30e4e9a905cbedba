"""What becomes of a share of a shift: a result to give, or an error to tell.

N items of a share, M summary columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from plures.v1 import queue_pb2

from .asking import Asked, children
from .dealing import Share
from .errors import PluresError
from .holdings import Holdings
from .lanes import Lanes
from .queue.chunks import Result
from .queue.refusals import check_results
from .rpc.convert import tensor_to


@dataclass(frozen=True)
class Success:
    """A share, and the result of its chunk."""

    share: Share
    result: Result


@dataclass(frozen=True)
class Failure:
    """A share that cannot be done, and why."""

    share: Share
    error: str


Outcome: TypeAlias = Success | Failure


def outcome(
    lanes: Lanes, held: Holdings, share: Share, summary_NM: NDArray[np.float32], asked: Sequence[Asked]
) -> Outcome:
    """The result of what was done, unless it asks for what cannot be."""
    config = held.config
    try:
        wanted = children(asked, share.items, held.queue, config.max_children)
        result = Result(share.chunk, _message(lanes, share, summary_NM, asked), wanted)
        check_results([result], config.max_depth, config.max_payload_bytes)
    except PluresError as error:
        return Failure(share, str(error))
    return Success(share, result)


def _message(lanes: Lanes, share: Share, summary_NM: NDArray[np.float32], asked: Sequence[Asked]) -> bytes:
    asked_N = sum((part.counts(len(share.items)) for part in asked), np.zeros(len(share.items), np.int64))
    return queue_pb2.ResultsResponse(
        item=tensor_to(share.items.item_N),
        summary=tensor_to(summary_NM),
        cohort=f"cohorts/{lanes.cohort.name}",
        ordinal=tensor_to(lanes.ordinals[share.lane_N].astype(np.uint32)),
        parent=tensor_to(share.items.asker_N),
        asked=tensor_to(asked_N.astype(np.uint32)),
    ).SerializeToString()
