"""Linear Titans: what the mathematics says of its step, and its scan's gradients by hand against those of autograd."""

import pytest
import torch
from plures_kernels import RULES

from .scans import assert_scan_agrees, differentiate, draw_scan

MOMENTUM, GATED_DELTA = RULES["momentum"], RULES["gated_delta"]

HERE = torch.arange(4)
STEPS = pytest.mark.parametrize(
    ("backend", "dtype"), [("cpu", torch.float32), ("naive", torch.float64)], ids=["cpu", "naive"]
)
GATES = ("log_decay", "momentum", "beta")


@pytest.fixture
def draw(generator, draw_inputs):
    return lambda **sizes: draw_scan(generator, draw_inputs, MOMENTUM, **sizes)


@STEPS
def test_steps_without_decay_are_those_of_gradient_descent_with_momentum(draw_inputs, backend, dtype):
    rate, eta = 0.1, 0.9
    memory = torch.zeros(1, 1, 8, 16, dtype=dtype, requires_grad=True)
    descent = torch.optim.SGD([memory], lr=1.0, momentum=eta)
    pool, slot = torch.zeros(1, 1, 2 * 8 * 16, dtype=dtype), torch.zeros(1, dtype=torch.int64)
    gates = (torch.full((1, 1), gate, dtype=dtype) for gate in (0.0, eta, rate))
    kept, momentum, beta = gates
    for _ in range(20):
        q, k, v, *_ = draw_inputs(MOMENTUM, 1, H=1, K=16, V=8, dtype=dtype)
        q, k = q / 4, k / 4
        MOMENTUM.step(pool, [q, k, v, kept, momentum, beta], slot, slot, backend=backend, normalize=False)
        loss = 0.5 * (torch.einsum("bhvk,bhk->bhv", memory, k) - v).square().sum()
        descent.zero_grad()
        (rate * loss).backward()
        descent.step()
    torch.testing.assert_close(pool[..., : 8 * 16], memory.detach().flatten(2), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        pool[..., 8 * 16 :], -descent.state[memory]["momentum_buffer"].flatten(2), rtol=1e-4, atol=1e-4
    )


@STEPS
def test_the_error_is_that_of_the_memory_before_it_decays(draw_inputs, generator, backend, dtype):
    q, k, v, log_decay, momentum, beta = draw_inputs(MOMENTUM, 4, K=16, V=8, dtype=dtype)
    state, motion = torch.randn(2, 4, 2, 8, 16, generator=generator, dtype=dtype)
    error = v - torch.einsum("bhvk,bhk->bhv", state, k)
    eta, beta_, alpha = (x[..., None, None] for x in (momentum, beta, log_decay.exp()))
    expected = eta * motion + beta_ * error[..., None] * k[..., None, :]
    pool = torch.cat([state.flatten(2), motion.flatten(2)], dim=-1)
    inputs = [q, k, v, log_decay, momentum, beta]
    y = MOMENTUM.step(pool, inputs, HERE, HERE, backend=backend, normalize=False)
    after, motion_after = (part.reshape_as(state) for part in pool.split(8 * 16, dim=-1))
    torch.testing.assert_close(motion_after, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after, alpha * state + expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(y, torch.einsum("bhvk,bhk->bhv", after, q), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_momentum_and_decay_it_is_the_delta_rule(draw_inputs, dtype):
    q, k, v, log_decay, momentum, beta = draw_inputs(MOMENTUM, 3, 50, dtype=dtype)
    still, kept = torch.zeros_like(momentum), torch.zeros_like(log_decay)
    y, last = MOMENTUM.scan([q, k, v, kept, still, beta])
    y_delta, last_delta = GATED_DELTA.scan([q, k, v, kept, beta])
    torch.testing.assert_close(y, y_delta, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(last[..., :256], last_delta, rtol=1e-4, atol=1e-5)


def test_the_truth_is_differentiable(draw):
    tensors, _ = draw(B=1, T=3, H=1, V=2, K=3)
    inputs = [x.clone().requires_grad_() for x in tensors]
    assert torch.autograd.gradcheck(lambda *xs: MOMENTUM.scan(xs[:-1], xs[-1]), inputs)


@pytest.mark.parametrize("T", [1, 7, 8, 9, 100])
def test_a_scan_of_any_length_agrees_with_the_truth(draw, T):
    assert_scan_agrees(MOMENTUM, *draw(T=T))


@pytest.mark.parametrize(("H", "V", "K"), [(1, 7, 5), (3, 24, 16), (1, 32, 64)])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_scan_of_any_shape_agrees_with_the_truth(draw, H, V, K, normalize):
    tensors, cotangents = draw(H=H, V=V, K=K, T=20)
    if not normalize:
        # Long keys make the rule itself diverge.
        tensors[:2] = [x / K**0.5 for x in tensors[:2]]
    assert_scan_agrees(MOMENTUM, tensors, cotangents, normalize=normalize)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("extreme", ["nothing", "everything"])
def test_gates_may_be_extreme(draw, gate, extreme):
    tensors, cotangents = draw(T=12)
    nothing, everything = (-torch.inf, 0.0) if gate == "log_decay" else (0.0, 1.0)
    place = 3 + GATES.index(gate)
    tensors[place] = torch.full_like(tensors[place], nothing if extreme == "nothing" else everything)
    assert_scan_agrees(MOMENTUM, tensors, cotangents)


def test_zero_keys_and_queries_have_finite_gradients(draw):
    tensors, cotangents = draw()
    tensors[0][:, 5:9], tensors[1][:, 7:12] = 0, 0
    assert_scan_agrees(MOMENTUM, tensors, cotangents)


def test_gradients_flow_from_the_last_state_alone(draw):
    tensors, (dy, dlast) = draw()
    assert_scan_agrees(MOMENTUM, tensors, [torch.zeros_like(dy), dlast])


def test_a_scan_takes_any_strides(draw):
    tensors, cotangents = draw()
    turned = [x.movedim(0, -1).contiguous().movedim(-1, 0) for x in tensors]
    options = {"dtype": torch.float32, "backend": "cpu"}
    straight = differentiate(MOMENTUM, tensors, cotangents, **options)
    for result, expected in zip(differentiate(MOMENTUM, turned, cotangents, **options), straight, strict=True):
        torch.testing.assert_close(result, expected, rtol=0, atol=0)
