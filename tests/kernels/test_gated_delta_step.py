"""The gated delta rule's step: what the mathematics says of it."""

import pytest
import torch
from plures_kernels import RULES

GATED_DELTA = RULES["gated_delta"]

HERE = torch.arange(4)
STEPS = pytest.mark.parametrize(
    ("backend", "dtype"), [("cpu", torch.float32), ("naive", torch.float64)], ids=["cpu", "naive"]
)


@STEPS
def test_without_decay_a_step_descends_the_squared_error_of_recall(draw_inputs, generator, backend, dtype):
    q, k, v, _, beta = draw_inputs(GATED_DELTA, 4, K=16, V=8, dtype=dtype)
    pool = torch.randn(4, 2, 8, 16, generator=generator, dtype=dtype)
    state = pool.clone().requires_grad_()
    loss = 0.5 * (torch.einsum("bhvk,bhk->bhv", state, k) - v).square().sum()
    descended = state - beta[..., None, None] * torch.autograd.grad(loss, state)[0]
    GATED_DELTA.step(
        pool.flatten(2), [q, k, v, torch.zeros_like(beta), beta], HERE, HERE, backend=backend, normalize=False
    )
    torch.testing.assert_close(pool, descended, rtol=1e-4, atol=1e-4)


@STEPS
def test_at_full_rate_the_memory_recalls_what_was_just_written(draw_inputs, generator, backend, dtype):
    _, k, v, log_decay, beta = draw_inputs(GATED_DELTA, 4, K=16, V=8, dtype=dtype)
    pool = torch.randn(4, 2, 8, 16, generator=generator, dtype=dtype)
    y = GATED_DELTA.step(pool.flatten(2), [k, k, v, log_decay, torch.ones_like(beta)], HERE, HERE, backend=backend)
    torch.testing.assert_close(y, v, rtol=1e-4, atol=1e-5)


@STEPS
def test_one_hot_keys_make_it_the_rescorla_wagner_rule(generator, backend, dtype):
    rate, forgetting, choices = 0.3, 0.1, torch.randint(5, (30,), generator=generator).tolist()
    rewards = torch.rand(30, generator=generator).tolist()
    values, pool = [0.0] * 5, torch.zeros(1, 1, 1, 5, dtype=dtype)
    log_decay = torch.full((1, 1), 1 - forgetting, dtype=dtype).log()
    for choice, reward in zip(choices, rewards, strict=True):
        values = [(1 - forgetting) * value for value in values]
        values[choice] += rate * (reward - values[choice])
        key = torch.nn.functional.one_hot(torch.tensor([[choice]]), 5).to(dtype)
        v, beta = torch.full((1, 1, 1), reward, dtype=dtype), torch.full((1, 1), rate, dtype=dtype)
        slot = torch.zeros(1, dtype=torch.int64)
        y = GATED_DELTA.step(
            pool.flatten(2), [key, key, v, log_decay, beta], slot, slot, backend=backend, normalize=False
        )
        assert y.item() == pytest.approx(values[choice], abs=1e-6)
    assert pool.flatten().tolist() == pytest.approx(values, abs=1e-6)


@STEPS
@pytest.mark.parametrize("log_decay", [0.0, -1e-6, -30.0, -1e4, -torch.inf])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_gates_may_be_extreme(draw_inputs, generator, backend, dtype, log_decay, rate):
    q, k, v, _, beta = draw_inputs(GATED_DELTA, 4, K=16, V=8, dtype=dtype)
    pool = torch.randn(4, 2, 8, 16, generator=generator, dtype=dtype)
    decayed, key = pool * torch.tensor(log_decay, dtype=dtype).exp(), torch.nn.functional.normalize(k, dim=-1)
    error = v - torch.einsum("bhvk,bhk->bhv", decayed, key)
    gates = torch.full_like(beta, log_decay), torch.full_like(beta, rate)
    y = GATED_DELTA.step(pool.flatten(2), [q, k, v, *gates], HERE, HERE, backend=backend)
    torch.testing.assert_close(pool, decayed + rate * error[..., None] * key[..., None, :], rtol=1e-4, atol=1e-4)
    assert y.isfinite().all()


@STEPS
def test_a_zero_key_writes_nothing(draw_inputs, generator, backend, dtype):
    q, k, v, log_decay, beta = draw_inputs(GATED_DELTA, 4, K=16, V=8, dtype=dtype)
    pool = torch.randn(4, 2, 8, 16, generator=generator, dtype=dtype)
    decayed = pool * log_decay.exp()[..., None, None]
    GATED_DELTA.step(pool.flatten(2), [q, torch.zeros_like(k), v, log_decay, beta], HERE, HERE, backend=backend)
    torch.testing.assert_close(pool, decayed)


@STEPS
def test_normalized_keys_and_queries_have_length_one(draw_inputs, generator, backend, dtype):
    q, k, v, log_decay, beta = draw_inputs(GATED_DELTA, 4, K=16, V=8, dtype=dtype)
    inside = torch.randn(4, 2, 8, 16, generator=generator, dtype=dtype)
    outside = inside.clone()
    y = GATED_DELTA.step(inside.flatten(2), [q, k, v, log_decay, beta], HERE, HERE, backend=backend)
    unit_q, unit_k = (x / (x.square().sum(-1, keepdim=True) + 1e-6).sqrt() for x in (q, k))
    gates = log_decay, beta
    y_out = GATED_DELTA.step(
        outside.flatten(2), [unit_q, unit_k, v, *gates], HERE, HERE, backend=backend, normalize=False
    )
    torch.testing.assert_close(y, y_out)
    torch.testing.assert_close(inside, outside)
