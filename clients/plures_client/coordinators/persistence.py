"""Trying again what may be tried again without harm."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..errors import DeadlineExceeded, PluresClientError, Unavailable

T = TypeVar("T")

PATIENCE = 6
FIRST_DELAY_S = 0.1


async def persist(attempt: Callable[[], Awaitable[T]], passing: tuple[str, ...] = ()) -> T:
    """The outcome of what may be tried again without harm, tried until the server has been away for some seconds.

    `passing`: reasons of refusals that will pass, too.
    """
    delay_s = FIRST_DELAY_S
    for _ in range(PATIENCE):
        try:
            return await attempt()
        except PluresClientError as error:
            is_away = isinstance(error, Unavailable | DeadlineExceeded)
            if not is_away and error.retry_after_s is None and error.reason not in passing:
                raise
            await asyncio.sleep(error.retry_after_s or delay_s)
            delay_s *= 2
    return await attempt()
