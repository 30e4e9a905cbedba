"""The gated delta rule's scans against the loop over tokens in float64: outputs, last state and every gradient."""

import pytest
import torch
from plures_kernels import RULES

GATED_DELTA = RULES["gated_delta"]

SCANS = pytest.mark.parametrize(
    ("backend", "dtype", "tolerance"),
    [("cpu", torch.float32, 2e-5), ("chunk", torch.float32, 2e-5), ("chunk", torch.float64, 1e-12)],
    ids=["cpu", "chunk32", "chunk64"],
)


def run(tensors, cotangents, *, dtype=torch.float64, backend="naive", normalize=True):
    """y, last state, and the gradients of all six inputs."""
    inputs = [x.detach().to(dtype).requires_grad_() for x in tensors]
    outputs = GATED_DELTA.scan(inputs[:5], inputs[5], backend=backend, normalize=normalize)
    return *outputs, *torch.autograd.grad(outputs, inputs, [x.to(dtype) for x in cotangents])


def assert_agrees(results, truths, tolerance):
    for result, truth in zip(results, truths, strict=True):
        scale = max(1.0, truth.abs().max().item())
        torch.testing.assert_close(result.double() / scale, truth / scale, rtol=0, atol=tolerance)


@pytest.fixture
def draw(draw_inputs, generator):
    """Inputs of a scan, and the gradients of what it returns."""

    def draw(B=2, T=40, H=2, V=16, K=16):
        state, dlast = torch.randn(2, B, H, V * K, generator=generator, dtype=torch.float64)
        tokens = draw_inputs(GATED_DELTA, B, T, H=H, K=K, V=V, dtype=torch.float64)
        return [*tokens, state], [torch.randn(B, T, H, V, generator=generator, dtype=torch.float64), dlast]

    return draw


@SCANS
@pytest.mark.parametrize("T", [1, 2, 16, 17, 31, 32, 33, 100])
def test_a_scan_of_any_length_agrees_with_the_truth(draw, T, backend, dtype, tolerance):
    tensors, cotangents = draw(T=T)
    results = run(tensors, cotangents, dtype=dtype, backend=backend)
    assert_agrees(results, run(tensors, cotangents), tolerance)


@SCANS
@pytest.mark.parametrize(("H", "V", "K"), [(1, 7, 5), (3, 24, 16), (1, 32, 64)])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_scan_of_any_shape_agrees_with_the_truth(draw, H, V, K, normalize, backend, dtype, tolerance):
    tensors, cotangents = draw(H=H, V=V, K=K)
    if not normalize:
        # Keys longer than √2 make the rule itself diverge.
        tensors[:2] = [x / K**0.5 for x in tensors[:2]]
    results = run(tensors, cotangents, dtype=dtype, backend=backend, normalize=normalize)
    assert_agrees(results, run(tensors, cotangents, normalize=normalize), tolerance)


@SCANS
@pytest.mark.parametrize("log_decay", [0.0, -1e-6, -30.0, -1e4, -torch.inf])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_gates_may_be_extreme(draw, log_decay, rate, backend, dtype, tolerance):
    tensors, cotangents = draw()
    tensors[3], tensors[4] = torch.full_like(tensors[3], log_decay), torch.full_like(tensors[4], rate)
    results = run(tensors, cotangents, dtype=dtype, backend=backend)
    assert_agrees(results, run(tensors, cotangents), tolerance)


@SCANS
def test_a_large_decay_does_not_blur_the_small_ones_after_it(draw, backend, dtype, tolerance):
    tensors, cotangents = draw()
    tensors[3] = torch.full_like(tensors[3], -1e-3)
    tensors[3][:, 3] = -1e4
    results = run(tensors, cotangents, dtype=dtype, backend=backend)
    assert_agrees(results, run(tensors, cotangents), tolerance)


@SCANS
def test_zero_keys_and_queries_have_finite_gradients(draw, backend, dtype, tolerance):
    tensors, cotangents = draw()
    tensors[0][:, 5:9], tensors[1][:, 7:12] = 0, 0
    results = run(tensors, cotangents, dtype=dtype, backend=backend)
    # The gradient of x / |x| at zero is a thousand times that elsewhere, and its rounding errors are, too.
    assert_agrees(results, run(tensors, cotangents), tolerance)


@SCANS
def test_gradients_flow_from_the_last_state_alone(draw, backend, dtype, tolerance):
    tensors, (dy, dlast) = draw()
    results = run(tensors, [torch.zeros_like(dy), dlast], dtype=dtype, backend=backend)
    assert_agrees(results, run(tensors, [torch.zeros_like(dy), dlast]), tolerance)


@SCANS
def test_without_gradients_a_scan_gives_the_same(draw, backend, dtype, tolerance):
    tensors = [x.to(dtype) for x in draw()[0]]
    expected = GATED_DELTA.scan([x.requires_grad_() for x in tensors[:5]], tensors[5].requires_grad_(), backend=backend)
    with torch.no_grad():
        for result, with_grad in zip(GATED_DELTA.scan(tensors[:5], tensors[5], backend=backend), expected, strict=True):
            torch.testing.assert_close(result, with_grad, rtol=0, atol=0)


@SCANS
def test_a_scan_takes_any_strides_and_partial_gradients(draw, backend, dtype, tolerance):
    tensors = [x.to(dtype) for x in draw()[0]]
    turned = [x.movedim(0, -1).contiguous().movedim(-1, 0) for x in tensors]
    weights = [tensors[2].clone().requires_grad_(), turned[2].clone().requires_grad_()]
    for inputs, weight in zip((tensors, turned), weights, strict=True):
        y, _ = GATED_DELTA.scan([*inputs[:2], weight, *inputs[3:5]], backend=backend)
        y.sum().backward()
    torch.testing.assert_close(weights[1].grad, weights[0].grad)


@pytest.mark.parametrize("normalize", [True, False])
def test_the_derivatives_of_the_chunked_scan_are_those_of_its_values(draw, normalize):
    tensors, _ = draw(B=1, T=3, H=1, V=2, K=3)
    inputs = [x.detach().clone().requires_grad_() for x in tensors]
    assert torch.autograd.gradcheck(
        lambda *xs: GATED_DELTA.scan(xs[:5], xs[5], backend="chunk", normalize=normalize), inputs, atol=1e-6
    )
