"""What every rule promises, whatever it computes."""

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plures_kernels import RULES

from .conftest import each_token, inputs_of, state_of

EQUAL = {"rtol": 0, "atol": 0, "equal_nan": True}

pytestmark = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
shapes = pytest.mark.parametrize(("H", "V", "K"), [(2, 16, 16), (1, 7, 5), (2, 20, 33)])


def test_a_state_splits_into_its_parts_and_joins_again(rule, draw_inputs, draw_state):
    state = draw_state(rule, 3, V=8, K=5)
    extents = rule.spec.extents(draw_inputs(rule, 3, V=8, K=5))
    parts = rule.spec.split(state, extents)
    assert [part.shape[2:] for part in parts] == [part.shape(extents) for part in rule.spec.state]
    torch.testing.assert_close(rule.spec.join(parts), state, **EQUAL)


@shapes
@pytest.mark.parametrize("slots", [torch.int32, torch.int64])
def test_a_step_agrees_with_the_float64_truth(rule, draw_step, H, V, K, slots):
    step = draw_step(rule, H=H, V=V, K=K, slots=slots)
    truth = step.copy(torch.float64)
    y_true = rule.step(*truth.arguments, backend="naive")
    y = rule.step(*step.arguments)
    torch.testing.assert_close(y.double(), y_true, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(step.pages_NLHS.double(), truth.pages_NLHS, rtol=1e-4, atol=1e-4, equal_nan=True)


def test_a_step_changes_the_written_pages_of_its_layer_and_nothing_else(rule, draw_step):
    step = draw_step(rule)
    before = step.pages_NLHS.clone()
    rule.step(*step.arguments)
    written = step.write_B[step.write_B >= 0]
    assert not (step.pool_NHS[written] == before[written, step.layer]).all(dim=(1, 2)).any()
    before[written, step.layer] = step.pool_NHS[written]
    torch.testing.assert_close(step.pages_NLHS, before, **EQUAL)


def test_a_skipped_row_yields_zeros(rule, draw_step):
    step = draw_step(rule)
    y = rule.step(*step.arguments)
    assert (y[step.write_B < 0] == 0).all()
    assert y[step.write_B >= 0].isfinite().all()


def test_a_step_of_no_rows_is_no_step(rule, draw_step):
    nobody = draw_step(rule).rows([])
    before = nobody.pages_NLHS.clone()
    assert rule.step(*nobody.arguments).shape == (0, 2, 16)
    torch.testing.assert_close(nobody.pages_NLHS, before, **EQUAL)


def test_a_row_has_the_same_bits_alone_as_among_others(rule, draw_step):
    among = draw_step(rule, B=40)
    order = torch.randperm(40).tolist()
    alone = [among.rows([row]) for row in range(40)]
    shuffled = among.rows(order)
    y_among, y_shuffled = rule.step(*among.arguments), rule.step(*shuffled.arguments)
    torch.testing.assert_close(y_shuffled, y_among[order], **EQUAL)
    torch.testing.assert_close(shuffled.pages_NLHS, among.pages_NLHS, **EQUAL)
    for row, step in enumerate(alone):
        torch.testing.assert_close(rule.step(*step.arguments)[0], y_among[row], **EQUAL)
        written = step.write_B[step.write_B >= 0]
        torch.testing.assert_close(step.pool_NHS[written], among.pool_NHS[written], **EQUAL)


@given(st.integers(1, 70), st.integers(0, 2**32))
def test_the_slot_a_state_lies_in_does_not_matter(rule, B, seed):
    generator = torch.Generator().manual_seed(seed)
    pool, inputs = state_of(generator, rule, B), inputs_of(generator, rule, B)
    place = torch.randperm(B, generator=generator)
    moved = torch.empty_like(pool).index_copy_(0, place, pool)
    here = torch.arange(B)
    y, y_moved = rule.step(pool, inputs, here, here), rule.step(moved, inputs, place, place)
    torch.testing.assert_close(y_moved, y, **EQUAL)
    torch.testing.assert_close(moved[place], pool, **EQUAL)


def test_fork_then_step_equals_step_then_fork(rule, draw_inputs, draw_state):
    parent, inputs = draw_state(rule, 1), draw_inputs(rule, 1)
    pool = torch.cat([parent, parent.new_full((5, *parent.shape[1:]), torch.nan)])
    everyone = each_token(rule, inputs, lambda x: x.expand(5, *x.shape[1:]))
    rule.step(pool, everyone, torch.zeros(5, dtype=torch.int64), torch.arange(1, 6))
    torch.testing.assert_close(pool[:1], parent, **EQUAL)
    rule.step(parent, inputs, torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    torch.testing.assert_close(pool[1:], parent.expand(5, -1, -1), **EQUAL)


def test_a_scan_has_the_bits_of_repeated_steps(rule, draw_inputs, draw_state):
    inputs, states = draw_inputs(rule, 3, 37, V=24), draw_state(rule, 3, V=24)
    y, last = rule.scan(inputs, states)
    slots = torch.arange(3)
    # A scan of its own on the CPU is written to give the same bits; one for all devices rounds as it likes.
    alike = EQUAL if ("cpu", torch.float32) in rule.scan_for else {"rtol": 1e-4, "atol": 1e-5}
    for t in range(37):
        now = each_token(rule, inputs, lambda x, t=t: x[:, t])
        torch.testing.assert_close(rule.step(states, now, slots, slots), y[:, t], **alike)
    torch.testing.assert_close(states, last, **alike)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_scan_goes_on_where_another_ended(rule, draw_inputs, dtype):
    inputs = draw_inputs(rule, 2, 75, V=8, dtype=dtype)
    y, last = rule.scan(inputs)
    y_first, middle = rule.scan(each_token(rule, inputs, lambda x: x[:, :41]))
    y_second, end = rule.scan(each_token(rule, inputs, lambda x: x[:, 41:]), middle)
    torch.testing.assert_close(torch.cat([y_first, y_second], dim=1), y)
    torch.testing.assert_close(end, last)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 0), (torch.float64, 1e-12)])
def test_padding_on_the_right_leaves_the_state_alone(rule, draw_inputs, dtype, tolerance):
    if rule.spec.padding is None:
        pytest.skip("the rule has no token that changes nothing")
    inputs = draw_inputs(rule, 2, 50, dtype=dtype)
    short = each_token(rule, inputs, lambda x: x[:, :20].clone())
    for inp, x in zip(rule.spec.inputs, inputs, strict=True):
        if inp.name in rule.spec.padding:
            x[:, 20:] = rule.spec.padding[inp.name]
    y, last = rule.scan(inputs)
    y_short, last_short = rule.scan(short)
    torch.testing.assert_close(last, last_short, rtol=0, atol=tolerance)
    torch.testing.assert_close(y[:, :20], y_short, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_scan_of_no_tokens_returns_the_state(rule, draw_inputs, draw_state, dtype):
    state = draw_state(rule, 2, H=3, dtype=dtype).requires_grad_()
    y, last = rule.scan(draw_inputs(rule, 2, 0, H=3, dtype=dtype), state)
    assert y.shape == (2, 0, 3, 16)
    torch.testing.assert_close(last, state)
    last.sum().backward()
    torch.testing.assert_close(state.grad, torch.ones_like(state))


def test_a_step_may_be_made_from_another_thread(rule, draw_step):
    here = draw_step(rule)
    there = here.copy(torch.float32)
    outputs = []
    thread = threading.Thread(target=lambda: outputs.append(rule.step(*there.arguments)))
    thread.start()
    y = rule.step(*here.arguments)
    thread.join()
    torch.testing.assert_close(outputs[0], y, **EQUAL)
    torch.testing.assert_close(there.pages_NLHS, here.pages_NLHS, **EQUAL)


def test_pages_may_lie_more_than_two_billion_elements_apart(rule, draw_inputs, draw_state, tmp_path):
    # A sparse file: twelve gigabytes of addresses, a few pages of disk.
    span, small, inputs = 2**30, draw_state(rule, 3).zero_(), draw_inputs(rule, 1)
    pages = torch.from_file(str(tmp_path / "pages"), shared=True, size=3 * span, dtype=torch.float32)
    pool, slots = pages.view(3, span)[:, : small[0].numel()].view(small.shape), torch.tensor([2])
    torch.testing.assert_close(rule.step(pool, inputs, slots, slots), rule.step(small, inputs, slots, slots), **EQUAL)
    torch.testing.assert_close(pool[2], small[2], **EQUAL)


@pytest.mark.parametrize("noisy", [True, False])
def test_a_step_on_bfloat16_states_agrees_with_the_truth_rounded_alike(rule, draw_step, generator, noisy):
    step = draw_step(rule)
    step.pages_NLHS = step.pages_NLHS.bfloat16()
    truth = step.copy(torch.float64)
    truth.pages_NLHS = step.pages_NLHS.clone()
    noise = torch.randint(-(2**62), 2**62, (len(step.write_B),), generator=generator) if noisy else None
    y_true = rule.step(*truth.arguments, noise_B=noise, backend="naive")
    y = rule.step(*step.arguments, noise_B=noise)
    torch.testing.assert_close(y.double(), y_true, rtol=1e-4, atol=1e-4)
    # Where float32 and float64 lie on two sides of an edge, the neighbour is taken.
    torch.testing.assert_close(step.pages_NLHS, truth.pages_NLHS, rtol=2**-7, atol=1e-4, equal_nan=True)
    same = (step.pages_NLHS == truth.pages_NLHS) | truth.pages_NLHS.isnan()
    assert same.float().mean() > 0.99
