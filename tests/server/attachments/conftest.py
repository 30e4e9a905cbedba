"""Cohorts at work on queues, with a real store."""

from collections.abc import AsyncIterator

import pytest
from plures_server import attachments as attachments_module
from plures_server import shift as shift_module
from plures_server.attachments import Attachments
from plures_server.engine import Engine
from plures_server.queue.store import QueueStore


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits half a second before it tries again waits a moment."""
    for module in (attachments_module, shift_module):
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)


@pytest.fixture
async def attachments(engine: Engine, store: QueueStore) -> AsyncIterator[Attachments]:
    async with Attachments(engine, store) as attachments:
        yield attachments
