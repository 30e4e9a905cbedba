"""What does not fit into memory is refused in words, before the system ends the process."""

from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from plures_students import memory
from plures_students.commands.failing import fails_in_words
from plures_students.lives import read_lives, write_lives
from plures_students.memory import TooLittleMemory, free_bytes, require_memory

from .teachers import played


def test_the_free_memory_of_this_process_is_known() -> None:
    free = free_bytes()
    assert free is not None
    held = np.ones(1 << 26, np.uint8)
    assert 0 < free < 1 << 50
    assert held.sum() == 1 << 26


def test_what_is_larger_than_all_memory_is_refused_with_both_sizes_and_a_way_out() -> None:
    require_memory(1, "one byte", "ask for none")
    with pytest.raises(TooLittleMemory, match=r"lives take about 1,048,576\.0 GiB of memory, .* are free; take fewer"):
        require_memory(1 << 50, "lives", "take fewer")


def test_lives_that_do_not_fit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lives(tmp_path, played(lives=2, episodes=1, trials=50, seed=0))
    assert read_lives(tmp_path).steps == 100
    monkeypatch.setattr(memory, "free_bytes", lambda: 1000)
    with pytest.raises(TooLittleMemory, match=r"lives\.parquet: 100 rows take about .*stream_lives"):
        read_lives(tmp_path)


@pytest.mark.parametrize("allocate", [np.empty, torch.empty])
def test_a_command_that_runs_out_of_memory_says_so(allocate: object) -> None:
    @click.command()
    @fails_in_words
    def greedy() -> None:
        allocate(1 << 58)  # type: ignore[operator]

    failed = CliRunner().invoke(greedy)
    assert failed.exit_code == 1
    assert failed.output.startswith("Error: memory ran out; ask for less at once (a smaller --batch")


def test_other_errors_of_torch_are_not_taken_for_it() -> None:
    @click.command()
    @fails_in_words
    def wrong() -> None:
        torch.ones(2) @ torch.ones(3)

    assert isinstance(CliRunner().invoke(wrong).exception, RuntimeError)
