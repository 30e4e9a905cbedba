"""Tiles side by side, each on one core."""

import threading

import pytest
import torch
from plures_server.crew import Crew

TILES = [slice(0, 4), slice(4, 8), slice(8, 9)]


@pytest.fixture
def crew():
    crew = Crew(torch.device("cpu"))
    yield crew
    crew.close()


def of_each(crew, tiles):
    """Which thread did each tile, and how many cores it took."""
    seen = {}

    def work(tile):
        seen[tile.start] = threading.current_thread(), torch.get_num_threads()

    crew.each(work, tiles)
    return seen


def test_every_tile_is_done_on_one_core_by_the_crew(crew):
    seen = of_each(crew, TILES)
    assert sorted(seen) == [0, 4, 8]
    assert {cores for _, cores in seen.values()} == {1}
    assert threading.current_thread() not in {thread for thread, _ in seen.values()}


def test_who_has_joined_does_a_single_tile_itself_on_one_core(crew):
    seen = []

    def member():
        crew.join()
        seen.append((threading.current_thread(), of_each(crew, TILES[:1]), of_each(crew, TILES)))

    thread = threading.Thread(target=member)
    thread.start()
    thread.join()
    (me, alone, together) = seen[0]
    assert alone == {0: (me, 1)}
    assert me not in {thread for thread, _ in together.values()}


def test_the_first_failure_is_raised_when_all_have_ended(crew):
    ended = []

    def work(tile):
        if tile.start == 4:
            raise ValueError("the second")
        ended.append(tile.start)

    with pytest.raises(ValueError, match="the second"):
        crew.each(work, TILES)
    assert sorted(ended) == [0, 8]
