"""Trying again what may be tried again without harm."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..errors import DeadlineExceeded, PluresClientError, Unavailable

T = TypeVar("T")

PATIENCE = 6
FIRST_DELAY_S = 0.1


async def persist(
    attempt: Callable[[], Awaitable[T]], passing: tuple[str, ...] = (), standing: Callable[[], object] = lambda: None
) -> T:
    """The outcome of what may be tried again without harm, tried until the server has been away for some seconds.

    `passing`: reasons of refusals that will pass, too. `standing`: how far the attempts have come; one that got further
    before it failed is not counted, however many they are.
    """
    left, delay_s, stood = PATIENCE, FIRST_DELAY_S, standing()
    while True:
        try:
            return await attempt()
        except PluresClientError as error:
            if standing() != stood:
                left, delay_s, stood = PATIENCE, FIRST_DELAY_S, standing()
            if left == 0 or not _passes(error, passing):
                raise
            await asyncio.sleep(error.retry_after_s or delay_s)
            left, delay_s = left - 1, 2 * delay_s


def _passes(error: PluresClientError, passing: tuple[str, ...]) -> bool:
    is_away = isinstance(error, Unavailable | DeadlineExceeded)
    return is_away or error.retry_after_s is not None or error.reason in passing
