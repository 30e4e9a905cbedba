"""Temporal differences: what the mathematics says of them, and the scan's gradients by hand against autograd."""

import math

import numpy as np
import pytest
import torch
from plures_kernels import RULES
from torch.nn.functional import one_hot

from .scans import assert_scan_agrees, draw_scan

TD, DELTA = RULES["td"], RULES["delta"]
HERE = torch.arange(1)
SHARP = 1e6
"""Best against second best."""
LOOSE = 1e-2
"""Where values are learned from values, rounding grows from token to token, a thousandfold in one draw of a hundred."""


@pytest.fixture
def draw(generator, draw_inputs):
    return lambda **sizes: draw_scan(generator, draw_inputs, TD, **sizes)


def tokens(keys, channels, rewards, discounts, rate, values=4, greed=SHARP, choice=1.0):
    """A life of one head with one-hot keys and one channel written a token, float64, without lapses."""
    k = one_hot(torch.tensor(keys)).double()[None, :, None]
    written = one_hot(torch.tensor(channels), values).double()[None, :, None]
    v = torch.tensor(rewards).double()[None, :, None, None].expand_as(written)
    discount = torch.tensor(discounts).double()[None, :, None]
    never = torch.zeros_like(discount)
    sharpness = (torch.tensor([math.log(x)]).double() for x in (greed, choice))
    return [k, v, rate * written, discount, never, never, *sharpness]


def table(last, values=4):
    return last.flatten()[: -last.numel() // (values + 1)].reshape(values, -1)


def wander(rng, steps=400, cells=6, actions=4):
    """Random cells, actions, rewards and ends: each action leads from a cell to the next."""
    cell, action = rng.integers(cells, size=steps + 1), rng.integers(actions, size=steps)
    return cell, action, rng.normal(size=steps), rng.random(steps) < 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_a_table_it_is_q_learning(dtype):
    cell, action, reward, done = wander(np.random.default_rng())
    q = np.zeros((4, 6))
    for t in range(400):
        ahead = 0 if done[t] else 0.9 * q[:, cell[t + 1]].max()
        q[action[t], cell[t]] += 0.3 * (reward[t] + ahead - q[action[t], cell[t]])
    # A token brings what the action before it led to; what was done before the first is of no account.
    inputs = tokens(cell, [0, *action], [0.0, *reward], [0.0, *np.where(done, 0, 0.9)], 0.3)
    y, last = TD.scan([x.to(dtype) for x in inputs])
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    torch.testing.assert_close(table(last).double(), torch.from_numpy(q), rtol=tolerance, atol=tolerance)
    told = torch.from_numpy(q[:, cell[-1]]).log_softmax(0)
    torch.testing.assert_close(y[0, -1, 0].double(), told, rtol=1e-4, atol=1e-4)


def test_without_foresight_it_is_the_delta_rule_of_keys_one_token_old(draw):
    (k, v, beta, discount, _, lapse, greed, choice, _), _ = draw()
    same, nothing = beta[..., :1], torch.zeros_like(discount)
    _, last = TD.scan([k, v, same.expand_as(beta), nothing, nothing, lapse, greed, choice])
    w = k.relu().square() / k.relu().square().sum(-1, keepdim=True)
    before = torch.cat([torch.zeros_like(w[:, :1]), w[:, :-1]], dim=1)
    _, expected = DELTA.scan([w, before, v, same[..., 0]], normalize=False)
    torch.testing.assert_close(last[..., : 16 * 16], expected)


def test_a_step_descends_the_squared_error_with_the_target_taken_as_given(draw):
    (*inputs, state), _ = draw(T=1, B=1, H=1, V=3, K=5)
    k, v, beta, discount, _, _, greed, _ = (x[0, 0] if x.ndim > 2 else x for x in inputs)
    values, credited = state[0, :, :15].reshape(1, 3, 5).requires_grad_(), state[0, :, 15:]
    w = k.relu().square() / k.relu().square().sum()
    seen = (values @ w[..., None])[..., 0]
    target = v + discount * ((greed.exp() * seen).softmax(-1) * seen).sum()
    error = target.detach() - (values @ credited[..., None])[..., 0]
    (slope,) = torch.autograd.grad(0.5 * error.square().sum(), values)
    _, last = TD.scan(inputs, state)
    torch.testing.assert_close(last[0, :, :15].reshape(1, 3, 5), values.detach() - beta[..., None] * slope)


def test_without_greed_the_mean_of_the_next_values_is_expected():
    # Two cells, of which the second has the values 8 and 0 already.
    learned = torch.tensor([[[0.0, 8.0, 0.0, 0.0, 1.0, 0.0]]]).double()
    inputs = tokens([1, 0], [0, 0], [0.0, 0.0], [0.5, 0.0], 1.0, values=2, greed=1e-9)
    _, last = TD.scan([x[:, :1] if x.ndim > 1 else x for x in inputs], learned)
    assert table(last, 2)[0, 0].item() == pytest.approx(0.5 * 4.0)


def test_what_is_held_is_credited_later():
    inputs = tokens([0, 1, 1], [0, 0, 0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0], 1.0)
    inputs[2][:, 1] = 0  # nothing is learned there,
    inputs[4][:, 1] = 1  # and the first cell still waits for its credit
    _, last = TD.scan(inputs)
    assert table(last)[0].tolist() == [3.0, 0.0]


def test_a_choice_is_greedy_but_for_a_lapse_and_shares_among_equals():
    inputs = tokens([0, 1, 0], [0, 2, 3], [0.0, 1.0, 0.0], [0.0] * 3, 0.5, choice=1e4)
    inputs[5] = torch.full_like(inputs[5], 0.1)
    y, _ = TD.scan(inputs)
    torch.testing.assert_close(y[0, 0, 0].exp(), torch.full((4,), 0.25).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(y[0, 2, 0].exp(), torch.tensor([0.025, 0.025, 0.925, 0.025]).double(), rtol=0, atol=1e-5)


def test_what_is_not_positive_in_a_key_is_neither_written_nor_read_however_long_the_life(generator):
    steps = 3000
    k = torch.full((1, steps, 1, 3), -0.3)
    k[..., 0] = 1
    inputs = tokens([0] * steps, [0] * steps, [1.0] * steps, [0.9] * steps, 0.3)
    _, last = TD.scan([k, *(x.float() for x in inputs[1:])])
    assert (table(last)[:, 1:] == 0).all()
    assert table(last)[0, 0].item() == pytest.approx(10, rel=1e-3)


def test_the_truth_is_differentiable(draw):
    tensors, _ = draw(B=1, T=3, H=1, V=2, K=3)
    inputs = [x.clone().requires_grad_() for x in tensors]
    assert torch.autograd.gradcheck(lambda *xs: TD.scan(xs[:-1], xs[-1], backend="naive"), inputs)


def test_a_token_agrees_with_the_truth(draw):
    assert_scan_agrees(TD, *draw(T=1))


@pytest.mark.parametrize(("T", "H", "V", "K"), [(40, 2, 16, 16), (20, 1, 7, 5), (20, 3, 4, 33)])
def test_a_scan_of_any_shape_agrees_with_the_truth(draw, T, H, V, K):
    assert_scan_agrees(TD, *draw(T=T, H=H, V=V, K=K), tolerance=LOOSE)


@pytest.mark.parametrize("place", range(2, 6))
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_rates_may_be_extreme(draw, place, rate):
    tensors, cotangents = draw(T=12)
    tensors[place] = torch.full_like(tensors[place], rate)
    assert_scan_agrees(TD, tensors, cotangents, tolerance=LOOSE)


def test_keys_without_anything_positive_have_finite_gradients(draw):
    tensors, cotangents = draw()
    tensors[0][:, 5:9] = 0
    tensors[0][:, 7:12] -= 10
    assert_scan_agrees(TD, tensors, cotangents, tolerance=LOOSE)
