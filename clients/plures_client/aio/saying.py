"""Agents of a language model that read and say, over one Say call."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import numpy as np
from plures.v1.agent_pb2 import SayRequest

from .. import ordinals as wire_ordinals
from ..names import full
from ..ordinals import OrdinalsLike
from ..results import Said
from ..tensors import encode
from ..whole import whole
from .wire import Wire


async def say(
    wire: Wire,
    cohort: str,
    prompt: str | Sequence[int],
    ordinals: OrdinalsLike,
    max_tokens: int,
    temperature: float,
    stop_tokens: Sequence[int],
) -> AsyncGenerator[Said, None]:
    """What the agents say, as they say it."""
    request = SayRequest(
        cohort=full("cohorts", cohort),
        ordinals=wire_ordinals.encode(ordinals),
        max_tokens=whole(max_tokens, 32, "max_tokens"),
        temperature=temperature,
        stop_tokens=[whole(token, 32, "stop_tokens") for token in stop_tokens],
    )
    if isinstance(prompt, str):
        request.text = prompt
    else:
        request.tokens.CopyFrom(encode(np.asarray(prompt), np.int32))
    async with aclosing(wire.messages(wire.to.agents.Say(request))) as messages:
        async for message in messages:
            yield Said.read(message)
