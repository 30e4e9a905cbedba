"""The benches of ticks and of traffic, on few agents."""

from types import ModuleType

import numpy as np
import pytest
import torch
from plures_students.imitate.histories import Histories
from plures_students.imitate.likelihood import log_probs, nll
from plures_students.teachers import LEARNERS, WORLDS, make, record

from .conftest import bench_script

bench_tick, traffic = bench_script("bench_tick"), bench_script("bench_traffic")


@pytest.fixture
def tick(bench_tick: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(bench_tick, "BUFFER_FLOATS", 2**12)
    monkeypatch.setattr(bench_tick, "PRODUCT", 16)
    return bench_tick


def test_a_tick_its_parts_and_its_floor_are_timed(tick, bandit_student):
    rows = tick.measure(bandit_student, 50, 2) + tick.huge_pages(bandit_student, 50, 2)
    us = {row.what: row.us for row in rows}
    assert {"tick", "encode", "network", "choose", "environment"} < us.keys()
    both, moved, multiplied = us["floor: both"], us["floor: states moved"], us["floor: slow weights multiplied"]
    assert both.samples == pytest.approx(np.add(moved.samples, multiplied.samples))
    assert us["floor: overlapped"].samples == pytest.approx(np.maximum(moved.samples, multiplied.samples))
    found = tick.summary(rows)
    assert found["over_floor"] == us["tick"].median / both.median
    assert found["steps_per_second"] == 1e6 / us["tick"].median


def test_flops_are_two_for_each_weight_of_a_product(tick, bandit_student):
    config = bandit_student.config
    weights = sum(weight.numel() for weight in bandit_student.parameters() if weight.ndim == 2)
    assert tick.flops(bandit_student) == 2 * weights
    assert weights > config.layers * config.width * config.mlp_width * 2


def test_lives_lived_by_steps_are_foreseen_as_by_scans(traffic, bandit_student):
    lives = record(make(WORLDS, "bandit", {"arms": 2}), make(LEARNERS, "q_learner", {}), 3, 20, 1)
    by_steps = traffic.lived(bandit_student, Histories(lives), torch.float32, False)
    by_scans = nll(log_probs(bandit_student, Histories(lives)), lives.action_N)
    np.testing.assert_allclose(by_steps, by_scans, atol=1e-4)

    rows = list(traffic.rows_of(bandit_student, lives))
    assert [row.state for row in rows] == list(traffic.STATES)
    assert [row.bytes_a_step for row in rows] == [8192, 4096, 4096]
    assert rows[0].error == 0
    assert rows[1].nll == pytest.approx(rows[0].nll, abs=0.05)
    assert rows[1].nll != rows[0].nll != rows[2].nll
