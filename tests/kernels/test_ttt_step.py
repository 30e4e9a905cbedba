"""Test-time training's steps: what the mathematics says of them."""

import pytest
import torch
from plures_kernels import RULES
from torch.nn.functional import gelu, layer_norm, normalize

from .conftest import EXTENTS


def linear(weights, k_BHV):
    """f(k) of the linear memory."""
    w, b = weights
    return torch.einsum("bhvk,bhk->bhv", w, k_BHV) + b


def two_layers(weights, k_BHV):
    """f(k) of the two-layer memory."""
    w1, b1, w2, b2 = weights
    hidden = gelu(torch.einsum("bhfv,bhv->bhf", w1, k_BHV) + b1, approximate="tanh")
    return torch.einsum("bhfv,bhf->bhv", w2, hidden) + b2


MEMORIES = {"ttt_linear": linear, "ttt_mlp": two_layers}
# Of β.
STEP_SIZES = {"ttt_linear": 1.0, "ttt_mlp": 1 / EXTENTS["F"]}

pytestmark = pytest.mark.parametrize("name", MEMORIES)

STEPS = pytest.mark.parametrize(
    ("backend", "dtype", "tolerance"), [("cpu", torch.float32, 1e-4), ("naive", torch.float64, 1e-11)],
    ids=["cpu", "naive"],
)  # fmt: skip
HERE = torch.arange(4)


def standardised(z, gain, bias):
    """LayerNorm over channels, with each head's gain and bias."""
    return gain * layer_norm(z, z.shape[-1:], eps=1e-6) + bias


def learned(rule, inputs):
    """Where the memory's own weights start, and LN's gain and bias."""
    return inputs[4:-2], inputs[-2:]


@STEPS
def test_a_step_descends_the_stated_loss(name, draw_inputs, draw_state, backend, dtype, tolerance):
    rule = RULES[name]
    inputs, pool = draw_inputs(rule, 4, dtype=dtype), draw_state(rule, 4, dtype=dtype)
    q, k, v, beta = inputs[:4]
    start, affine = learned(rule, inputs)
    parts = rule.spec.split(pool.clone(), rule.spec.extents(inputs))
    weights = [(part + first).detach().requires_grad_() for part, first in zip(parts, start, strict=True)]
    loss = 0.5 * (standardised(MEMORIES[name](weights, k), *affine) - (v - k)).square().sum()
    slopes = torch.autograd.grad(loss, weights)
    rates = [(STEP_SIZES[name] * beta).view(4, 2, *[1] * (slope.dim() - 2)) for slope in slopes]
    descended = [part - rate * slope for part, rate, slope in zip(parts, rates, slopes, strict=True)]
    y = rule.step(pool, inputs, HERE, HERE, backend=backend, normalize=False)
    torch.testing.assert_close(pool, rule.spec.join(descended), rtol=tolerance, atol=tolerance)
    after = [part + first for part, first in zip(descended, start, strict=True)]
    expected = q + standardised(MEMORIES[name](after, q), *affine)
    torch.testing.assert_close(y, expected, rtol=tolerance, atol=tolerance)


@STEPS
def test_a_newborn_reads_the_learned_memory(name, draw_inputs, draw_state, backend, dtype, tolerance):
    rule = RULES[name]
    inputs = draw_inputs(rule, 4, dtype=dtype)
    q, beta = inputs[0], inputs[3]
    beta.zero_()
    newborn = torch.zeros_like(draw_state(rule, 4, dtype=dtype))
    y = rule.step(newborn, inputs, HERE, HERE, backend=backend, normalize=False)
    start, affine = learned(rule, inputs)
    expected = q + standardised(MEMORIES[name]([x[None] for x in start], q), *affine)
    torch.testing.assert_close(y, expected, rtol=tolerance, atol=tolerance)
    assert not newborn.any(), "at rate zero nothing is learned"


@STEPS
def test_what_is_told_again_and_again_is_recalled(name, draw_inputs, draw_state, backend, dtype, tolerance):
    rule = RULES[name]
    inputs = fresh(rule, draw_inputs(rule, 4, dtype=dtype))
    k, v, beta = inputs[1:4]
    inputs[0] = k
    beta.fill_(0.5)
    # What LN can give at gain one: mean zero, variance one.
    v.copy_(normalize(k, dim=-1) + layer_norm(v, v.shape[-1:]))
    pool = torch.zeros_like(draw_state(rule, 4, dtype=dtype))
    errors = [
        (rule.step(pool, inputs, HERE, HERE, backend=backend) - v).square().sum(-1).max().item() for _ in range(200)
    ]
    assert errors[-1] < 0.01 < 1 < errors[0]


@STEPS
def test_a_memory_that_answers_all_alike_has_no_variance_and_stays_finite(
    name, draw_inputs, draw_state, backend, dtype, tolerance
):
    rule = RULES[name]
    inputs = draw_inputs(rule, 4, dtype=dtype)
    for weight in learned(rule, inputs)[0]:
        weight.zero_()
    pool = torch.zeros_like(draw_state(rule, 4, dtype=dtype))
    for _ in range(3):
        assert rule.step(pool, inputs, HERE, HERE, backend=backend).isfinite().all()
        assert pool.isfinite().all()


def fresh(rule, inputs):
    """With the weights as training finds them."""
    pairs = zip(rule.spec.inputs, inputs, strict=True)
    return [inp.initialize(torch.empty_like(x)) if i > 3 else x for i, (inp, x) in enumerate(pairs)]
