"""A server that ticks on and on: no memory is taken that is not given back."""

import gc
import sys
import tracemalloc
from pathlib import Path

import pytest
import torch
from plures_server.crew import Crew
from plures_server.pool import Pool, PoolConfig
from plures_server.runs import RunRequest, begin
from plures_server.student_stepper import StudentStepper
from plures_server.students import Students

from .helpers import CPU, served, small_student

AGENTS, TICKS = 500, 1_000
# Traced, too: memory from before the trace that is used again counts as new.
WARM_UP = 1_000
GROWTH_BLOCKS = 3 * TICKS // 4
"""Of small objects over all ticks: far less than one kept for each tick. Threads that work side by side hold some."""
GROWTH_BYTES = 64 << 10
"""Of Python's memory over all ticks: less than one large object kept for each tick."""
RESIDENT_BYTES = 4 << 20
"""Of the process: what allocators keep for themselves. The tensors of every tick, kept, would be ten times that."""


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_thousand_ticks_take_no_more_memory_than_the_first() -> None:
    student = served(small_student())
    pool = Pool(PoolConfig(AGENTS, (AGENTS + 1) * student.page_bytes), Students([student]), CPU)
    crew = Crew(CPU)
    try:
        stepper = StudentStepper(student, pool.pages(student), crew)
        pool.start("all", "joe", AGENTS, seed=1)
        run = begin(pool, stepper, RunRequest("all", None, "bandit", torch.tensor([[0.2, 0.8]]), 3_000, seed=2)).run
        tracemalloc.start()
        for _ in run.go_on_to(WARM_UP):
            pass
        gc.collect()
        before, blocks, resident = tracemalloc.get_traced_memory()[0], sys.getallocatedblocks(), resident_bytes()
        for _ in run.go_on_to(WARM_UP + TICKS):
            pass
        gc.collect()
        assert sys.getallocatedblocks() - blocks < GROWTH_BLOCKS
        assert tracemalloc.get_traced_memory()[0] - before < GROWTH_BYTES
        assert resident_bytes() - resident < RESIDENT_BYTES
        assert run.tick == WARM_UP + TICKS
    finally:
        tracemalloc.stop()
        crew.close()
