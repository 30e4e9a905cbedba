"""The rules whose memory is one matrix a head: what they descend and have in common, and their scans' gradients."""

from itertools import pairwise

import pytest
import torch
from plures_kernels import RULES

from .scans import assert_agree, assert_scan_agrees, differentiate, draw_scan

NAMES = "hebbian", "delta", "gated_delta", "kda", "delta_product"
EXACT = {"rtol": 1e-12, "atol": 1e-12}

rules = pytest.mark.parametrize("rule", [RULES[name] for name in NAMES], ids=NAMES)
gates = pytest.mark.parametrize("log_decay", [0.0, -1e-6, -30.0, -1e4, -torch.inf])


def named(rule, inputs):
    return {inp.name: x for inp, x in zip(rule.spec.inputs, inputs, strict=True)}


def replaced(rule, inputs, **changes):
    return list({**named(rule, inputs), **changes}.values())


def advanced(rule, inputs, state):
    """The state after one token, keys as they are."""
    token = [x[:, None] for x in inputs]
    return rule.scan(token, state, backend="naive", normalize=False)[1]


@rules
def test_without_decay_a_token_descends_its_losses_one_after_another(rule, draw_inputs, draw_state):
    inputs = draw_inputs(rule, 4, dtype=torch.float64)
    if "log_decay" in named(rule, inputs):
        inputs = replaced(rule, inputs, log_decay=torch.zeros_like(named(rule, inputs)["log_decay"]))
    state, token = draw_state(rule, 4, dtype=torch.float64), named(rule, inputs)
    steps = [token[name].unbind(2) if rule.name == "delta_product" else [token[name]] for name in ("k", "v", "beta")]
    descended = state.view(4, 2, 16, 16)
    for k, v, beta in zip(*steps, strict=True):
        descended = descended.detach().requires_grad_()
        recalled = torch.einsum("bhvk,bhk->bhv", descended, k)
        loss = -(recalled * v).sum() if rule.name == "hebbian" else 0.5 * (recalled - v).square().sum()
        descended = descended - beta[..., None, None] * torch.autograd.grad(loss, descended)[0]
    torch.testing.assert_close(advanced(rule, inputs, state), descended.detach().flatten(2), **EXACT)


def test_the_rules_meet_where_their_parameters_do(draw_inputs, draw_state):
    gated, state = RULES["gated_delta"], draw_state(RULES["gated_delta"], 2, dtype=torch.float64)
    q, k, v, log_decay, beta = draw_inputs(gated, 2, 9, dtype=torch.float64)
    never = torch.zeros_like(log_decay)
    for one, other in pairwise(
        [
            gated.scan([q, k, v, log_decay, beta], state),
            RULES["kda"].scan([q, k, v, log_decay[..., None].expand_as(k), beta], state),
            RULES["delta_product"].scan([q, k[:, :, :, None], v[:, :, :, None], log_decay, beta[..., None]], state),
        ]
    ):
        torch.testing.assert_close(one, other, **EXACT)
    torch.testing.assert_close(RULES["delta"].scan([q, k, v, beta], state), gated.scan([q, k, v, never, beta], state))


def test_inner_steps_are_tokens_that_nobody_reads(draw_inputs, draw_state):
    rule, gated = RULES["delta_product"], RULES["gated_delta"]
    q, k, v, log_decay, beta = draw_inputs(rule, 2, 7, J=3)
    state, apart = draw_state(rule, 2), [x.transpose(2, 3).flatten(1, 2) for x in (k, v, beta)]
    decays = torch.stack([log_decay, *2 * [torch.zeros_like(log_decay)]], dim=2).flatten(1, 2)
    y, last = gated.scan([q.repeat_interleave(3, dim=1), *apart[:2], decays, apart[2]], state)
    y_inner, last_inner = rule.scan([q, k, v, log_decay, beta], state)
    torch.testing.assert_close(y_inner, y[:, 2::3])
    torch.testing.assert_close(last_inner, last)


@rules
@pytest.mark.parametrize("T", [1, 16, 17, 40])
def test_every_gradient_of_a_scan_agrees_with_the_truth(rule, generator, draw_inputs, T):
    tensors, cotangents = draw_scan(generator, draw_inputs, rule, T=T)
    assert_scan_agrees(rule, tensors, cotangents)
    chunked = differentiate(rule, tensors, cotangents, backend="chunk")
    assert_agree(chunked, differentiate(rule, tensors, cotangents), 1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "delta"])
@gates
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_gates_may_be_extreme(name, generator, draw_inputs, log_decay, rate):
    rule = RULES[name]
    (*inputs, state), cotangents = draw_scan(generator, draw_inputs, rule)
    known = named(rule, inputs)
    extremes = {"log_decay": log_decay, "beta": rate}
    inputs = replaced(rule, inputs, **{key: torch.full_like(known[key], value) for key, value in extremes.items()})
    for backend in ("cpu", "chunk"):
        assert_scan_agrees(rule, [*inputs, state], cotangents, backend=backend)


def test_channels_forget_apart_however_much_another_does(generator, draw_inputs):
    rule = RULES["kda"]
    tensors, cotangents = draw_scan(generator, draw_inputs, rule)
    tensors[3] = torch.full_like(tensors[3], -1e-3)
    tensors[3][:, 3::5, :, ::2] = -1e4
    tensors[3][:, ::7, :, 1::3] = -torch.inf
    for backend in ("cpu", "chunk"):
        assert_scan_agrees(rule, tensors, cotangents, backend=backend)


@pytest.mark.parametrize("J", [3, 20])
def test_any_number_of_inner_steps_agrees_with_the_truth(generator, draw_inputs, J):
    rule = RULES["delta_product"]
    tensors, cotangents = draw_scan(generator, draw_inputs, rule, T=21, J=J)
    for backend in ("cpu", "chunk"):
        assert_scan_agrees(rule, tensors, cotangents, backend=backend)
