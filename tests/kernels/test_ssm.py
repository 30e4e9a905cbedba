"""The real-gated linear recurrent unit: the paper's equations, and its scan's gradients by hand against autograd's."""

import math

import pytest
import torch
from plures_kernels import RULES

from .scans import assert_scan_agrees, draw_scan

SSM = RULES["ssm"]


@pytest.fixture
def draw(generator, draw_inputs):
    return lambda **sizes: draw_scan(generator, draw_inputs, SSM, **sizes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_channel_follows_the_papers_equations(draw_inputs, dtype):
    inputs = draw_inputs(SSM, 1, 30, H=1, V=4, dtype=dtype)
    y, last = SSM.scan(inputs)
    x, r, i = (values[0, :, 0].tolist() for values in inputs[:3])
    for channel, weight in enumerate(inputs[3][0].tolist()):
        h, decay = 0.0, 1 / (1 + math.exp(-weight))
        for t in range(30):
            a = decay ** (8 * r[t][channel])
            h = a * h + math.sqrt(1 - a * a) * (i[t][channel] * x[t][channel])
            assert y[0, t, 0, channel].item() == pytest.approx(h, abs=1e-5)
        assert last[0, 0, channel].item() == pytest.approx(h, abs=1e-5)


def test_learning_starts_from_decays_of_a_tenth_to_a_thousandth():
    inp = SSM.spec.inputs[3]
    slowest = torch.sigmoid(inp.initialize(torch.empty(4, 1000, dtype=torch.float64))) ** 8
    assert slowest.min() >= 0.9
    assert slowest.max() <= 0.999
    assert slowest.mean() == pytest.approx(0.9495, abs=0.005)


def test_a_channel_that_hardly_decays_takes_in_as_precisely(draw_inputs):
    tokens = draw_inputs(SSM, 2, 1)
    slow = [x.double() for x in (*tokens[:3], torch.full_like(tokens[3], 12.0))]
    y_true, _ = SSM.scan(slow)
    y, _ = SSM.scan([x.float() for x in slow])
    torch.testing.assert_close(y.double(), y_true, rtol=1e-5, atol=0)


def test_the_truth_is_differentiable(draw):
    tensors, _ = draw(B=1, T=3, H=2, V=3)
    inputs = [x.clone().requires_grad_() for x in tensors]
    assert torch.autograd.gradcheck(lambda *xs: SSM.scan(xs[:-1], xs[-1]), inputs)


@pytest.mark.parametrize("T", [1, 2, 100])
def test_a_scan_of_any_length_agrees_with_the_truth(draw, T):
    assert_scan_agrees(SSM, *draw(T=T))


@pytest.mark.parametrize(("H", "V"), [(1, 7), (3, 24), (1, 128)])
def test_a_scan_of_any_shape_agrees_with_the_truth(draw, H, V):
    assert_scan_agrees(SSM, *draw(H=H, V=V, T=20))


@pytest.mark.parametrize("name", ["recurrence", "gate"])
@pytest.mark.parametrize("extreme", [0.0, 1e-6, 1.0])
def test_gates_may_be_extreme(draw, name, extreme):
    tensors, cotangents = draw(T=10)
    place = [inp.name for inp in SSM.spec.inputs].index(name)
    tensors[place] = torch.full_like(tensors[place], extreme)
    assert_scan_agrees(SSM, tensors, cotangents)


@pytest.mark.parametrize("weight", [-50.0, 50.0])
def test_channels_may_keep_all_or_nothing(draw, weight):
    tensors, cotangents = draw(T=10)
    tensors[3] = torch.full_like(tensors[3], weight)
    assert_scan_agrees(SSM, tensors, cotangents)
