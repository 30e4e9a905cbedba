"""Sample averages under keys."""

import pytest
import torch
from plures_kernels import RULES

RULE = RULES["average"]


@pytest.mark.parametrize("T", [1, 7, 20])
def test_the_parallel_scan_agrees_with_the_truth_and_so_do_its_gradients(draw_inputs, draw_state, generator, T):
    inputs = draw_inputs(RULE, 2, T, dtype=torch.float64)
    state = draw_state(RULE, 2, dtype=torch.float64).abs()
    cotangents, found = None, []
    for backend in ("naive", "parallel"):
        tensors = [x.detach().clone().requires_grad_() for x in (*inputs, state)]
        outputs = RULE.scan(tensors[:-1], tensors[-1], backend=backend)
        cotangents = cotangents or [torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in outputs]
        found.append([*outputs, *torch.autograd.grad(outputs, tensors, cotangents, materialize_grads=True)])
    for result, truth in zip(*reversed(found), strict=True):
        torch.testing.assert_close(result, truth)


def tokens(keys, values, prior=0.0):
    """A life of one head with one-hot keys of two channels, read under the key written to; doubt is worth 1."""
    k = torch.eye(2, dtype=torch.float64)[keys][None, :, None]
    v = torch.tensor(values, dtype=torch.float64)[None, :, None, None]
    certain = torch.ones(1, len(keys), 1, dtype=torch.float64)
    return [k, k, v, certain, torch.ones(1, 1, 2, dtype=torch.float64), torch.full((1, 2), prior, dtype=torch.float64)]


def test_with_one_hot_keys_it_is_the_mean_of_what_was_stored_and_its_standard_error():
    y, last = RULE.scan(tokens([0, 1, 0, 0], [1.0, 5.0, 0.0, 2.0]), normalize=False)
    means, counts = torch.tensor([1.0, 5.0, 0.5, 1.0]), torch.tensor([1.0, 1.0, 2.0, 3.0])
    torch.testing.assert_close(y.flatten(), (means + counts.rsqrt()).double())
    assert last.flatten().tolist() == [3.0, 5.0, 3.0, 1.0]


def test_a_prior_count_draws_to_zero_what_is_hardly_known():
    y, _ = RULE.scan(tokens([0], [4.0], prior=3.0), normalize=False)
    assert y.item() == pytest.approx(4.0 / 4 + 0.5)


def test_what_is_not_positive_in_a_key_writes_nothing_however_long_the_life():
    inputs = tokens([0] * 5000, [1.0] * 5000)
    inputs[1] = inputs[1].clone()
    inputs[1][..., 1] = -0.3
    _, last = RULE.scan(inputs)
    assert last.flatten()[[1, 3]].tolist() == [0.0, 0.0]
    assert last.flatten()[2] > 4000


def test_nothing_is_forgotten():
    once = RULE.scan(tokens([1, *[0] * 3000], [7.0, *[0.0] * 3000]), normalize=False)[1]
    assert once.flatten()[[1, 3]].tolist() == [7.0, 1.0]
