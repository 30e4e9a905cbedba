"""Trying again: for some seconds without getting further, and without end while it gets further."""

import asyncio

import pytest
from plures_client.coordinators import persistence
from plures_client.coordinators.persistence import PATIENCE, persist
from plures_client.errors import InvalidArgument, Unavailable


class Stream:
    """Breaks `breaks` times, each time after having brought `brings` more."""

    def __init__(self, breaks: int, brings: int) -> None:
        self.breaks, self.brings, self.brought = breaks, brings, 0

    async def read(self) -> int:
        self.brought += self.brings
        self.breaks -= 1
        if self.breaks >= 0:
            raise Unavailable("the connection broke")
        return self.brought


@pytest.fixture(autouse=True)
def _no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "FIRST_DELAY_S", 0.0)


def test_what_gets_further_each_time_may_break_as_often_as_it_likes() -> None:
    stream = Stream(breaks=10 * PATIENCE, brings=1)
    assert asyncio.run(persist(stream.read, standing=lambda: stream.brought)) == 10 * PATIENCE + 1


def test_what_gets_no_further_is_given_up() -> None:
    stream = Stream(breaks=PATIENCE + 1, brings=0)
    with pytest.raises(Unavailable):
        asyncio.run(persist(stream.read, standing=lambda: stream.brought))
    assert asyncio.run(persist(Stream(breaks=PATIENCE, brings=0).read)) == 0


def test_what_will_not_pass_is_not_tried_again() -> None:
    tried = []

    async def wrong() -> None:
        tried.append(1)
        raise InvalidArgument("no")

    with pytest.raises(InvalidArgument):
        asyncio.run(persist(wrong))
    assert len(tried) == 1
