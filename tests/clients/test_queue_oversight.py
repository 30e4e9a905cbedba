"""Queues from a client: paused, cancelled, in order of urgency, and what was given up."""

import time

import numpy as np
import pytest
from plures_client.errors import NotFound
from plures_client.items import Items

MANY_STEPS = 10**9


def items(count: int, steps: int = 2) -> Items:
    return Items.of("bandit", np.full((count, 2), 0.5), steps=steps, seed=1)


def until(fact):
    deadline = time.monotonic() + 30
    while not fact():
        assert time.monotonic() < deadline


def collect(queue, count):
    batches = []
    for batch in queue.results():
        batches.append(batch)
        if sum(len(batch.item) for batch in batches) >= count:
            return batches
    raise AssertionError("the results ended")


def test_a_paused_queue_does_nothing_until_it_goes_on(client, cohort, name):
    queue = client.queue(name)
    queue.enqueue(items(5))
    queue.pause()
    queue.attach(cohort.name, keep="nothing")
    queue.enqueue(items(5))
    assert (queue.stats().paused, queue.stats().ready, queue.stats().done) == (True, 10, 0)
    queue.resume()
    assert sum(len(batch.item) for batch in collect(queue, 10)) == 10
    assert not queue.stats().paused
    queue.delete()


def test_cancelled_items_end_though_copies_are_at_work_on_them(client, cohort, name):
    queue = client.queue(name)
    queue.enqueue(items(10, MANY_STEPS), submit_id="long")
    queue.enqueue(items(40_000, MANY_STEPS), submit_id="waiting")
    queue.attach(cohort.name, keep="learning")
    until(lambda: queue.stats().leased >= 10)
    before = queue.stats()
    assert queue.cancel("long") + queue.cancel("waiting") == before.ready + before.leased == 40_010
    assert queue.cancel("long") == 0
    with pytest.raises(NotFound, match="remembers no submission 'other'"):
        queue.cancel("other")
    # The copies are free for other work long before the cancelled items would have ended.
    queue.enqueue(items(20))
    assert sum(len(batch.item) for batch in collect(queue, 20)) == 20
    after = queue.stats()
    assert (after.cancelled, after.done, after.leased, after.ready) == (40_010, 20, 0, 0)
    queue.delete()


def test_the_urgent_goes_first_and_what_is_too_late_is_given_up(client, cohort, name):
    queue = client.queue(name)
    queue.enqueue(items(300), priority=0)
    queue.enqueue(items(300).numbered_from(300), priority=7)
    queue.enqueue(items(3).numbered_from(600), ttl_s=0.001)
    queue.attach(cohort.name, keep="nothing")
    batches = collect(queue, 600)
    order = np.concatenate([batch.item for batch in batches])
    assert order[:256].min() >= 300
    until(lambda: queue.stats().dead == 3)
    [letter] = queue.dead()
    assert letter.items is not None
    assert (letter.items.item.tolist(), letter.items.task, letter.count) == ([600, 601, 602], "bandit", 3)
    assert letter.error == "nobody began it in its time to live"
    assert queue.requeue([]) == 0
    assert queue.requeue([letter]) == 3
    assert sum(len(batch.item) for batch in collect(queue, 603)) == 603
    assert (batches[0].parent == batches[0].item).all()
    assert not batches[0].asked.any()
    queue.delete()


def test_results_that_were_read_can_be_forgotten(client, cohort, name):
    queue = client.queue(name)
    queue.enqueue(items(600))
    queue.attach(cohort.name, keep="nothing")
    batches = collect(queue, 600)
    queue.forget(batches[1].cursor)
    assert [batch.cursor for batch in queue.results(wait=False)] == [batch.cursor for batch in batches[2:]]
    queue.delete()


def test_whoever_waits_for_results_of_a_queue_that_is_deleted_is_told(client, name):
    queue = client.queue(name)
    queue.enqueue(items(1))
    results = queue.results()
    client.queue(name).delete()
    with pytest.raises(NotFound, match="there is no queue"):
        next(results)
