"""What a step must move and compute, and the table of it in the documentation."""

import json
from dataclasses import asdict

import pytest
import torch
from plures_kernels import RULES

RULE = RULES["gated_delta"]
HINT = "run `python bench/roofline.py --write --keep`"


@pytest.mark.parametrize("width", [16, 64])
def test_the_bytes_of_a_step_are_its_state_twice_its_token_and_its_slots(counting, width):
    known = counting.extents(width, heads=3)
    token = 3 * (4 * width + 2)
    assert counting.step_bytes(RULE, known, torch.float32) == 4 * (2 * 3 * width**2 + token) + 16
    assert counting.step_bytes(RULE, known, torch.bfloat16) == 2 * (2 * 3 * width**2) + 4 * token + 24


@pytest.mark.parametrize("width", [16, 64])
def test_the_flops_of_a_step_are_those_of_its_formula(counting, width):
    decay, recall, write, read = width**2, 2 * width**2, 2 * width**2, 2 * width**2
    # Twice x², Σ, + ε, root and product; exp; the error and its product with the rate.
    normalised, gate, error = 2 * (3 * width + 2), 1, 2 * width
    assert (
        counting.step_flops(RULE, counting.extents(width)) == decay + recall + write + read + normalised + gate + error
    )


def test_an_operation_that_nobody_counts_is_refused(counting):
    numbers = torch.rand(3)
    with counting._Flops(), pytest.raises(NotImplementedError, match=r"aten\.sort\.default is not counted yet"):
        numbers.sort()


def test_the_documented_floors_are_those_of_the_rules_as_they_are(roofline):
    result = json.loads(roofline.RESULT.read_text())
    rows = roofline.rows(result["cpu_bandwidth"])
    assert result["rows"] == [asdict(row) for row in rows], HINT
    table = roofline.markdown(rows, result["cpu_bandwidth"], result["machine"], result["load"])
    text = roofline.DOCS.read_text()
    assert roofline.insert(text, table) == text, HINT


def test_a_floor_is_bytes_by_bandwidth_and_none_where_pages_do_not_fit(roofline):
    row = next(row for row in roofline.rows(50e9) if (row.rule, row.width, row.state) == ("gated_delta", 128, "fp32"))
    assert row.page_bytes == 64 * 1024
    assert row.cpu_us["1k"] == round(1_000 * row.bytes / 50e9 * 1e6, 1)
    assert row.h200_predicted_us["16k"] == round(16_000 * row.bytes / 4.3e12 * 1e6, 3)
    assert all(
        (floor is None) == (roofline.AGENTS[label] * row.page_bytes > 141e9)
        for label, floor in row.h200_predicted_us.items()
    )
