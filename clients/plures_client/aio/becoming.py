"""Recorded lives replayed into agents over one Become stream."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from plures.v1.become_pb2 import BecomeBegin, BecomeCommit, BecomeRequest, BecomeResponse

from .. import ordinals as wire_ordinals
from ..errors import InvalidArgument, Unavailable
from ..life import Life, Part, chunk, parts
from ..names import full
from ..ordinals import OrdinalsLike
from ..tensors import decode
from .wire import Wire

OnProgress: TypeAlias = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


@dataclass(frozen=True)
class Became:
    """Steps replayed, over all agents; and, when asked for, the log-probability that each agent gave each action of its
    life before it was made to take it, float32 [T] a life.
    """

    agent_steps: int
    log_probs: list[NDArray[np.float32]] | None


async def become(
    wire: Wire,
    cohort: str,
    lives: Sequence[Life],
    ordinals: OrdinalsLike,
    want_log_probs: bool,
    on_progress: OnProgress | None,
) -> Became:
    """Life i into the i-th of the agents; raise InvalidArgument when lives do not fit together."""
    _check(lives, wire_ordinals.count(ordinals))
    who = None if ordinals is None else wire_ordinals.listed(ordinals)
    begin = BecomeBegin(
        cohort=full("cohorts", cohort), ordinals=wire_ordinals.encode(ordinals), want_log_probs=want_log_probs
    )
    due: Iterator[Part] = parts(lives)
    log_probs = [np.empty(len(life), np.float32) for life in lives] if want_log_probs else None
    total, committed, done = sum(map(len, lives)), False, 0
    requests = _requests(begin, lives, who)
    async with aclosing(wire.messages(wire.to.agents.Become(requests))) as responses:
        async for response in responses:
            committed, done = response.committed, response.agent_steps
            if log_probs is not None and not committed:
                _scatter(log_probs, next(due), response)
            if on_progress is not None:
                on_progress(done, total)
    if not committed:
        raise Unavailable(f"the server at {wire.address} ended the stream early; the agents are as they were")
    return Became(done, log_probs)


async def _requests(
    begin: BecomeBegin, lives: Sequence[Life], who: NDArray[np.int64] | None
) -> AsyncIterator[BecomeRequest]:
    yield BecomeRequest(begin=begin)
    for part in parts(lives):
        yield BecomeRequest(chunk=chunk(lives, who, part))
    yield BecomeRequest(commit=BecomeCommit())


def _scatter(log_probs: list[NDArray[np.float32]], part: Part, response: BecomeResponse) -> None:
    steps = part.steps.stop - part.steps.start
    log_prob_TB = decode(response.log_prob, np.float32, (steps, len(part.places)))
    for column, place in enumerate(part.places):
        log_probs[place][part.steps] = log_prob_TB[:, column]


def _check(lives: Sequence[Life], agents: int | None) -> None:
    if len(lives) == 0 or len(lives) != (len(lives) if agents is None else agents):
        raise InvalidArgument(f"{len(lives)} lives given for {agents} agents; give each agent one, or one for all")
    kinds = {
        None if life.observation is None else (life.observation.dtype, life.observation.shape[1:]) for life in lives
    }
    if len(kinds) > 1:
        raise InvalidArgument("lives have observations of different types or shapes; send those apart")
