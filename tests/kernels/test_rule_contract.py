"""What every rule promises, whatever it computes."""

import inspect
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plures_kernels import RULES, Rule

EQUAL = {"rtol": 0, "atol": 0, "equal_nan": True}

pytestmark = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
shapes = pytest.mark.parametrize(("H", "V", "K"), [(2, 16, 16), (3, 24, 8), (1, 7, 5), (2, 20, 33), (1, 64, 128)])


@pytest.mark.parametrize("name", ["scan", "step"])
def test_a_rule_has_the_signature_of_the_contract(rule, name):
    promised = list(inspect.signature(getattr(Rule, name)).parameters.values())[1:]
    assert list(inspect.signature(getattr(rule, name)).parameters.values()) == promised


@shapes
@pytest.mark.parametrize("slots", [torch.int32, torch.int64])
def test_a_step_agrees_with_the_float64_truth(rule, draw_step, H, V, K, slots):
    step = draw_step(H=H, V=V, K=K, slots=slots)
    truth = step.copy(torch.float64)
    y_true = rule.step(*truth.arguments, backend="naive")
    y = rule.step(*step.arguments)
    torch.testing.assert_close(y.double(), y_true, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(step.pages_NLHVK.double(), truth.pages_NLHVK, rtol=1e-4, atol=1e-5, equal_nan=True)


def test_a_step_changes_the_written_pages_of_its_layer_and_nothing_else(rule, draw_step):
    step = draw_step()
    before = step.pages_NLHVK.clone()
    rule.step(*step.arguments)
    written = step.write_B[step.write_B >= 0]
    assert not (step.pool_NHVK[written] == before[written, step.layer]).all(dim=(1, 2, 3)).any()
    before[written, step.layer] = step.pool_NHVK[written]
    torch.testing.assert_close(step.pages_NLHVK, before, **EQUAL)


def test_a_skipped_row_yields_zeros(rule, draw_step):
    step = draw_step()
    y = rule.step(*step.arguments)
    assert (y[step.write_B < 0] == 0).all()
    assert y[step.write_B >= 0].isfinite().all()


def test_a_step_of_no_rows_is_no_step(rule, draw_step):
    nobody = draw_step().rows([])
    before = nobody.pages_NLHVK.clone()
    assert rule.step(*nobody.arguments).shape == (0, 2, 16)
    torch.testing.assert_close(nobody.pages_NLHVK, before, **EQUAL)


def test_a_row_has_the_same_bits_alone_as_among_others(rule, draw_step):
    among = draw_step(B=40)
    order = torch.randperm(40).tolist()
    alone = [among.rows([row]) for row in range(40)]
    shuffled = among.rows(order)
    y_among, y_shuffled = rule.step(*among.arguments), rule.step(*shuffled.arguments)
    torch.testing.assert_close(y_shuffled, y_among[order], **EQUAL)
    torch.testing.assert_close(shuffled.pages_NLHVK, among.pages_NLHVK, **EQUAL)
    for row, step in enumerate(alone):
        torch.testing.assert_close(rule.step(*step.arguments)[0], y_among[row], **EQUAL)
        written = step.write_B[step.write_B >= 0]
        torch.testing.assert_close(step.pool_NHVK[written], among.pool_NHVK[written], **EQUAL)


@given(st.integers(1, 70), st.integers(0, 2**32))
def test_the_slot_a_state_lies_in_does_not_matter(rule, B, seed):
    random = torch.Generator().manual_seed(seed)
    pool = torch.randn(B, 2, 16, 16, generator=random)
    tokens = [torch.randn(B, 2, 16, generator=random) for _ in "qkv"] + [-torch.rand(B, 2), torch.rand(B, 2)]
    place = torch.randperm(B, generator=random)
    moved = torch.empty_like(pool).index_copy_(0, place, pool)
    here = torch.arange(B)
    y, y_moved = rule.step(pool, *tokens, here, here), rule.step(moved, *tokens, place, place)
    torch.testing.assert_close(y_moved, y, **EQUAL)
    torch.testing.assert_close(moved[place], pool, **EQUAL)


def test_fork_then_step_equals_step_then_fork(rule, draw_tokens, generator):
    parent, tokens = torch.randn(1, 2, 16, 16, generator=generator), draw_tokens(1, 2, K=16, V=16)
    pool = torch.cat([parent, torch.full((5, 2, 16, 16), torch.nan)])
    everyone = [x.expand(5, *x.shape[1:]) for x in tokens]
    rule.step(pool, *everyone, torch.zeros(5, dtype=torch.int64), torch.arange(1, 6))
    torch.testing.assert_close(pool[:1], parent, **EQUAL)
    rule.step(parent, *tokens, torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    torch.testing.assert_close(pool[1:], parent.expand(5, -1, -1, -1), **EQUAL)


def test_a_scan_has_the_bits_of_repeated_steps(rule, draw_tokens, generator):
    tokens, states = draw_tokens(3, 37, 2, K=16, V=24), torch.randn(3, 2, 24, 16, generator=generator)
    y, last = rule.scan(*tokens, states)
    slots = torch.arange(3)
    for t in range(37):
        torch.testing.assert_close(rule.step(states, *(x[:, t] for x in tokens), slots, slots), y[:, t], **EQUAL)
    torch.testing.assert_close(states, last, **EQUAL)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_scan_goes_on_where_another_ended(rule, draw_tokens, generator, dtype):
    tokens = draw_tokens(2, 75, 2, K=16, V=8, dtype=dtype)
    y, last = rule.scan(*tokens)
    y_first, middle = rule.scan(*(x[:, :41] for x in tokens))
    y_second, end = rule.scan(*(x[:, 41:] for x in tokens), middle)
    torch.testing.assert_close(torch.cat([y_first, y_second], dim=1), y)
    torch.testing.assert_close(end, last)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 0), (torch.float64, 1e-12)])
def test_padding_on_the_right_leaves_the_state_alone(rule, draw_tokens, dtype, tolerance):
    tokens = draw_tokens(2, 50, 2, K=16, V=16, dtype=dtype)
    for gate in tokens[3:]:
        gate[:, 20:] = 0
    y, last = rule.scan(*tokens)
    y_short, last_short = rule.scan(*(x[:, :20] for x in tokens))
    torch.testing.assert_close(last, last_short, rtol=0, atol=tolerance)
    torch.testing.assert_close(y[:, :20], y_short, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_scan_of_no_tokens_returns_the_state(rule, draw_tokens, generator, dtype):
    state = torch.randn(2, 3, 16, 8, generator=generator, dtype=dtype, requires_grad=True)
    y, last = rule.scan(*draw_tokens(2, 0, 3, K=8, V=16, dtype=dtype), state)
    assert y.shape == (2, 0, 3, 16)
    torch.testing.assert_close(last, state)
    last.sum().backward()
    torch.testing.assert_close(state.grad, torch.ones_like(state))


def test_a_step_may_be_made_from_another_thread(rule, draw_step):
    here = draw_step()
    there = here.copy(torch.float32)
    outputs = []
    thread = threading.Thread(target=lambda: outputs.append(rule.step(*there.arguments)))
    thread.start()
    y = rule.step(*here.arguments)
    thread.join()
    torch.testing.assert_close(outputs[0], y, **EQUAL)
    torch.testing.assert_close(there.pages_NLHVK, here.pages_NLHVK, **EQUAL)


def test_pages_may_lie_more_than_two_billion_elements_apart(rule, draw_tokens, tmp_path):
    # A sparse file: twelve gigabytes of addresses, a few pages of disk.
    span = 2**30
    pages = torch.from_file(str(tmp_path / "pages"), shared=True, size=3 * span, dtype=torch.float32)
    pool = pages.view(3, span)[:, : 2 * 16 * 16].view(3, 2, 16, 16)
    small = torch.zeros(3, 2, 16, 16)
    tokens, slots = draw_tokens(1, 2, K=16, V=16), torch.tensor([2])
    torch.testing.assert_close(rule.step(pool, *tokens, slots, slots), rule.step(small, *tokens, slots, slots), **EQUAL)
    torch.testing.assert_close(pool[2], small[2], **EQUAL)
