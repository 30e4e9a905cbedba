"""The scans of test-time training against the loop over tokens in float64: outputs, last state and every gradient."""

import pytest
import torch
from plures_kernels import RULES, Kind

pytestmark = pytest.mark.parametrize("rule", [RULES["ttt_linear"], RULES["ttt_mlp"]], ids=lambda rule: rule.name)


def run(rule, tensors, cotangents, *, dtype=torch.float64, backend="naive", normalize=True):
    """y, last state, and the gradients of all inputs and of the first state."""
    *inputs, state = (x.detach().to(dtype).requires_grad_() for x in tensors)
    outputs = rule.scan(inputs, state, backend=backend, normalize=normalize)
    return *outputs, *torch.autograd.grad(outputs, [*inputs, state], [x.to(dtype) for x in cotangents])


def assert_agrees(rule, tensors, cotangents, tolerance=2e-5, **options):
    results = run(rule, tensors, cotangents, dtype=torch.float32, backend="cpu", **options)
    for result, truth in zip(results, run(rule, tensors, cotangents, **options), strict=True):
        scale = max(1.0, truth.abs().max().item())
        torch.testing.assert_close(result.double() / scale, truth / scale, rtol=0, atol=tolerance)


@pytest.fixture
def draw(draw_inputs, draw_state, generator):
    """Inputs and first state of a scan, and the gradients of what it returns."""

    def draw(rule, B=2, T=40, H=2, V=16):
        state, dlast = (draw_state(rule, B, H=H, V=V, dtype=torch.float64) for _ in range(2))
        dy = torch.randn(B, T, H, V, generator=generator, dtype=torch.float64)
        return [*draw_inputs(rule, B, T, H=H, V=V, dtype=torch.float64), state], [dy, dlast]

    return draw


@pytest.mark.parametrize("T", [1, 2, 17, 100])
def test_a_scan_of_any_length_agrees_with_the_truth(rule, draw, T):
    assert_agrees(rule, *draw(rule, T=T))


@pytest.mark.parametrize(("H", "V"), [(1, 7), (3, 24)])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_scan_of_any_shape_agrees_with_the_truth(rule, draw, H, V, normalize):
    tensors, cotangents = draw(rule, H=H, V=V)
    if not normalize:
        # Long keys make the rule itself diverge.
        tensors[:2] = [x / V**0.5 for x in tensors[:2]]
    assert_agrees(rule, tensors, cotangents, normalize=normalize)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_rates_may_be_extreme(rule, draw, rate):
    tensors, cotangents = draw(rule)
    tensors[3] = torch.full_like(tensors[3], rate)
    assert_agrees(rule, tensors, cotangents)


def test_zero_keys_and_queries_have_finite_gradients(rule, draw):
    tensors, cotangents = draw(rule)
    tensors[0][:, 5:9], tensors[1][:, 7:12] = 0, 0
    assert_agrees(rule, tensors, cotangents)


def test_a_newborn_has_the_gradients_of_the_truth(rule, draw):
    tensors, cotangents = draw(rule)
    for i, inp in enumerate(rule.spec.inputs):
        if inp.kind is Kind.WEIGHT:
            inp.initialize(tensors[i])
    tensors[-1].zero_()
    assert_agrees(rule, tensors, cotangents)


def test_gradients_flow_from_the_last_state_alone(rule, draw):
    tensors, (dy, dlast) = draw(rule)
    assert_agrees(rule, tensors, [torch.zeros_like(dy), dlast])


def test_without_gradients_a_scan_gives_the_same(rule, draw):
    *inputs, state = (x.float() for x in draw(rule)[0])
    expected = rule.scan([x.clone().requires_grad_() for x in inputs], state, backend="cpu")
    for result, with_grad in zip(rule.scan(inputs, state, backend="cpu"), expected, strict=True):
        torch.testing.assert_close(result, with_grad, rtol=0, atol=0)


def test_a_scan_takes_any_strides_and_partial_gradients(rule, draw):
    *inputs, state = (x.float() for x in draw(rule)[0])
    turned = [x.movedim(0, -1).contiguous().movedim(-1, 0) for x in inputs]
    weights = [inputs[2].clone().requires_grad_(), turned[2].clone().requires_grad_()]
    for tensors, weight in zip((inputs, turned), weights, strict=True):
        y, _ = rule.scan([*tensors[:2], weight, *tensors[3:]], state, backend="cpu")
        y.sum().backward()
    torch.testing.assert_close(weights[1].grad, weights[0].grad)
