"""Pages: counted references, freed once, never handed to two."""

import time

import numpy as np
import pytest
import torch
from plures_server.errors import PoolFull
from plures_server.pages import NEWBORN, AllHot, Pages

from .helpers import CPU


def test_the_newborn_page_is_zeros_and_nobodys() -> None:
    pages = Pages(AllHot(5, 3, CPU))
    assert torch.equal(pages.data[NEWBORN], torch.zeros(3))
    assert (pages.used, pages.free, pages.capacity, pages.page_bytes) == (0, 4, 5, 12)
    assert NEWBORN not in pages.acquire(4)


def test_the_newborn_page_outlives_its_readers() -> None:
    pages = Pages(AllHot(3, 1, CPU))
    newborns = np.full(4, NEWBORN, np.int32)
    pages.retain(newborns)
    turnover = pages.turn_over(newborns[:2])
    assert turnover.moved.all()
    pages.settle(turnover)
    pages.release(newborns[2:])
    assert NEWBORN not in pages.turn_over(turnover.write).write
    assert pages.references(newborns).tolist() == [1] * 4


def test_what_is_too_much_changes_nothing() -> None:
    pages = Pages(AllHot(4, 1, CPU))
    held = pages.acquire(2)
    pages.retain(held)
    with pytest.raises(PoolFull, match="2 more states of 4 bytes are needed and 1 are free"):
        pages.turn_over(held)
    assert (pages.used, pages.free) == (2, 1)
    assert pages.references(held).tolist() == [2, 2]


def test_a_page_is_freed_once_however_often_it_is_named() -> None:
    pages = Pages(AllHot(10, 1, CPU))
    [page] = pages.acquire(1)
    many = np.full(5, page, np.int32)
    pages.retain(many[1:])
    pages.release(many)
    assert pages.used == 0
    assert sorted(pages.acquire(9).tolist()) == list(range(1, 10))


def test_the_last_reader_of_a_page_gets_it() -> None:
    pages = Pages(AllHot(3, 1, CPU))
    shared = np.repeat(pages.acquire(1), 2)
    pages.retain(shared[:1])
    first = pages.turn_over(shared[:1])
    pages.settle(first)
    second = pages.turn_over(shared[1:])
    assert first.moved.tolist() == [True]
    assert second.moved.tolist() == [False]
    assert second.write.tolist() == shared[1:].tolist()


def test_a_million_pages_come_and_go_in_a_moment() -> None:
    million = 1_000_000
    pages = Pages(AllHot(million + 1, 1, CPU))
    began = time.perf_counter()
    newborns = np.full(million, NEWBORN, np.int32)
    pages.retain(newborns)
    turnover = pages.turn_over(newborns)
    pages.settle(turnover)
    copies = np.random.default_rng(0).permutation(turnover.write)
    pages.retain(copies)
    pages.release(turnover.write)
    pages.release(copies)
    spent = time.perf_counter() - began
    assert (pages.used, pages.free) == (0, million)
    # 0.1 s alone on a machine; sorting them, or counting one by one, takes several seconds.
    assert spent < 2
