"""The gated recurrent unit against torch's own, and its scan's gradients by hand against those of autograd."""

import pytest
import torch
from plures_kernels import RULES

from .scans import assert_scan_agrees, draw_scan

GRU = RULES["gru"]


@pytest.fixture
def draw(generator, draw_inputs):
    return lambda **sizes: draw_scan(generator, draw_inputs, GRU, **sizes)


@pytest.mark.parametrize(
    ("backend", "dtype", "tolerance"), [("naive", torch.float64, 1e-12), ("cpu", torch.float32, 1e-5)]
)
def test_a_head_is_one_of_torchs_cells(generator, backend, dtype, tolerance):
    B, T, D, V = 3, 20, 5, 12
    cells = [torch.nn.GRUCell(D, V, dtype=dtype) for _ in range(2)]
    x_BTD, h_BHV = (torch.randn(*shape, generator=generator, dtype=dtype) for shape in ((B, T, D), (B, 2, V)))
    hidden = [[cell.bias_hh[: 2 * V], torch.zeros(V, dtype=dtype)] for cell in cells]
    tokens = [x_BTD @ cell.weight_ih.T + cell.bias_ih + torch.cat(b) for cell, b in zip(cells, hidden, strict=True)]
    weights = torch.stack([cell.weight_hh for cell in cells]).unflatten(1, (3, V)).unbind(1)
    inputs = *torch.stack(tokens, dim=2).split(V, dim=-1), *weights, torch.stack([c.bias_hh[2 * V :] for c in cells])
    y_BTHV, last_BHV = GRU.scan(inputs, h_BHV, backend=backend)
    for head, cell in enumerate(cells):
        h_BV = h_BHV[:, head]
        for t in range(T):
            h_BV = cell(x_BTD[:, t], h_BV)
            torch.testing.assert_close(y_BTHV[:, t, head], h_BV, rtol=0, atol=tolerance)
        torch.testing.assert_close(last_BHV[:, head], h_BV, rtol=0, atol=tolerance)


def test_the_truth_is_differentiable(draw):
    tensors, _ = draw(B=1, T=3, H=2, V=3)
    inputs = [x.clone().requires_grad_() for x in tensors]
    assert torch.autograd.gradcheck(lambda *xs: GRU.scan(xs[:-1], xs[-1]), inputs)


@pytest.mark.parametrize("T", [1, 2, 50])
def test_a_scan_of_any_length_agrees_with_the_truth(draw, T):
    assert_scan_agrees(GRU, *draw(T=T))


@pytest.mark.parametrize(("H", "V"), [(1, 7), (3, 24), (1, 128)])
def test_a_scan_of_any_shape_agrees_with_the_truth(draw, H, V):
    assert_scan_agrees(GRU, *draw(H=H, V=V, T=10))


@pytest.mark.parametrize("name", ["reset", "update", "candidate"])
@pytest.mark.parametrize("extreme", [-100.0, 100.0])
def test_gates_may_be_extreme(draw, name, extreme):
    tensors, cotangents = draw(T=10)
    place = [inp.name for inp in GRU.spec.inputs].index(name)
    tensors[place] = torch.full_like(tensors[place], extreme)
    assert_scan_agrees(GRU, tensors, cotangents)


def test_padding_has_finite_gradients(draw):
    tensors, (dy, dlast) = draw(T=10)
    tensors[1][:, 4:] = GRU.spec.padding["update"]
    assert_scan_agrees(GRU, tensors, [dy, dlast])


def test_a_scan_takes_any_strides(draw):
    tensors, _ = draw()
    straight = [x.float() for x in tensors]
    turned = [x.movedim(0, -1).contiguous().movedim(-1, 0) for x in straight]
    expected = GRU.scan(straight[:-1], straight[-1])
    for result, truth in zip(GRU.scan(turned[:-1], turned[-1]), expected, strict=True):
        torch.testing.assert_close(result, truth, rtol=0, atol=0)
