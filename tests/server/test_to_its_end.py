"""Work that is waited for to its end, however often the one who waits is cancelled."""

import asyncio

import pytest
from plures_server.to_its_end import to_its_end


class Work:
    """Ends when it is told to, with a result or an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.may_end, self.ended = asyncio.Event(), False
        self.hastened = 0

    async def __call__(self) -> str:
        await self.may_end.wait()
        self.ended = True
        if self.error is not None:
            raise self.error
        return "done"

    def hasten(self) -> None:
        self.hastened += 1


async def test_its_outcome_is_the_works() -> None:
    good, bad = Work(), Work(KeyError("on purpose"))
    for work in (good, bad):
        work.may_end.set()
    assert await to_its_end(good()) == "done"
    with pytest.raises(KeyError, match="on purpose"):
        await to_its_end(bad())


@pytest.mark.parametrize("error", [None, KeyError("on purpose")], ids=["well", "badly"])
async def test_who_is_cancelled_goes_when_it_has_ended(error: Exception | None) -> None:
    work = Work(error)
    waiting = asyncio.create_task(to_its_end(work(), work.hasten))
    for times in range(3):
        await asyncio.sleep(0)
        assert work.hastened == times
        waiting.cancel()
        await asyncio.sleep(0)
        assert not waiting.done()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await waiting
    assert work.ended
    assert cancelled.value.__cause__ is error
