"""Attention over the last tokens."""

import pytest
import torch
from plures_kernels import RULES

RULE = RULES["context"]


def scan_of(inputs, state=None, **options):
    return RULE.scan(inputs, state, **options)


@pytest.mark.parametrize("T", [1, 5, 6, 7, 20])
def test_the_parallel_scan_agrees_with_the_truth_and_so_do_its_gradients(draw_inputs, draw_state, generator, T):
    drawn = draw_inputs(RULE, 2, T, dtype=torch.float64), draw_state(RULE, 2, dtype=torch.float64)
    drawn[1][..., -6:] = (drawn[1][..., -6:] > 0).double()
    cotangents = None
    found = []
    for backend in ("naive", "parallel"):
        tensors = [x.detach().clone().requires_grad_() for x in (*drawn[0], drawn[1])]
        outputs = scan_of(tensors[:-1], tensors[-1], backend=backend)
        cotangents = cotangents or [torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in outputs]
        found.append([*outputs, *torch.autograd.grad(outputs, tensors, cotangents)])
    for result, truth in zip(*reversed(found), strict=True):
        torch.testing.assert_close(result, truth)


def test_it_is_scaled_dot_product_attention_while_the_window_is_long_enough(draw_inputs):
    q, k, v, recency = draw_inputs(RULE, 2, 6, dtype=torch.float64)
    y, _ = scan_of([q, k, v, torch.zeros_like(recency)])
    heads_first = (x.transpose(1, 2) for x in (q, k, v))
    expected = torch.nn.functional.scaled_dot_product_attention(*heads_first, is_causal=True)
    torch.testing.assert_close(y, expected.transpose(1, 2))


def test_what_is_older_than_the_window_is_as_if_it_had_not_been(draw_inputs):
    inputs = draw_inputs(RULE, 2, 20, dtype=torch.float64)
    y, last = scan_of(inputs)
    late = [x if x is inputs[3] else x[:, 14:] for x in inputs]
    y_late, last_late = scan_of(late)
    torch.testing.assert_close(y[:, -1], y_late[:, -1])
    torch.testing.assert_close(last, last_late)


def test_the_first_token_is_all_that_a_newborn_sees(draw_inputs):
    q, k, v, recency = draw_inputs(RULE, 2, 1)
    torch.testing.assert_close(scan_of([q, k, v, recency])[0], v)
