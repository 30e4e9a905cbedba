"""Scans with all their gradients, against the loop over tokens in float64. V values, S floats of a state."""

import torch
from plures_kernels import Rule
from torch import Tensor

Tensors = list[Tensor]


def draw_scan(generator, draw_inputs, rule: Rule, B=2, T=40, **extents) -> tuple[Tensors, Tensors]:
    """The inputs of a scan and its first state, and the gradients of what it returns; all float64."""
    inputs = draw_inputs(rule, B, T, dtype=torch.float64, **extents)
    known = rule.spec.extents(inputs)
    H, V, S = known["H"], known["V"], rule.spec.state_floats(known)
    state, dlast = torch.randn(2, B, H, S, generator=generator, dtype=torch.float64)
    return [*inputs, state], [torch.randn(B, T, H, V, generator=generator, dtype=torch.float64), dlast]


def differentiate(rule: Rule, tensors: Tensors, cotangents: Tensors, *, dtype=torch.float64, **options) -> Tensors:
    """y, the last state, and the gradients of all inputs and of the first state."""
    inputs = [x.detach().to(dtype).requires_grad_() for x in tensors]
    outputs = rule.scan(inputs[:-1], inputs[-1], **{"backend": "naive", **options})
    return [*outputs, *torch.autograd.grad(outputs, inputs, [x.to(dtype) for x in cotangents])]


def assert_agree(results: Tensors, truths: Tensors, tolerance: float) -> None:
    """The largest error of each is that share of its largest entry at most."""
    for result, truth in zip(results, truths, strict=True):
        scale = max(1.0, truth.abs().max().item())
        torch.testing.assert_close(result.double() / scale, truth / scale, rtol=0, atol=tolerance)


def assert_scan_agrees(rule: Rule, tensors: Tensors, cotangents: Tensors, *, backend="cpu", tolerance=2e-5, **options):
    """The float32 scan of that backend, against the truth."""
    results = differentiate(rule, tensors, cotangents, dtype=torch.float32, backend=backend, **options)
    assert_agree(results, differentiate(rule, tensors, cotangents, **options), tolerance)
