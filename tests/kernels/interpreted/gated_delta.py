"""The Triton step on the CPU, by Triton's interpreter; `test_triton.py` runs this with TRITON_INTERPRET=1.

The interpreter must be chosen before Triton is imported, which would change it for every other test of the process.
"""

import pytest
import torch
from plures_kernels import RULES
from plures_kernels.gated_delta import triton

RULE = RULES["gated_delta"]


@pytest.mark.parametrize(("H", "V", "K"), [(2, 16, 16), (2, 8, 8), (3, 24, 10), (1, 7, 48), (1, 96, 128)])
@pytest.mark.parametrize(("normalize", "slots"), [(True, torch.int32), (False, torch.int64)])
def test_a_step_agrees_with_the_float64_truth(draw_step, H, V, K, normalize, slots):
    step = draw_step(RULE, B=11, H=H, V=V, K=K, slots=slots)
    truth = step.copy(torch.float64)
    y_true = RULE.step(*truth.arguments, backend="naive", normalize=normalize)
    y = triton.step(*step.arguments, None, normalize)
    torch.testing.assert_close(y.double(), y_true, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(step.pages_NLHS.double(), truth.pages_NLHS, rtol=1e-4, atol=1e-4, equal_nan=True)
    untouched = [page for page in range(len(step.pages_NLHS)) if page not in step.write_B]
    torch.testing.assert_close(
        step.pages_NLHS[untouched].double(), truth.pages_NLHS[untouched], rtol=0, atol=0, equal_nan=True
    )


def test_a_pool_that_is_not_aligned_to_128_bits_is_stepped_too(draw_inputs, generator):
    flat = torch.randn(5 * 2 * 257 + 1, generator=generator)
    pool = flat[1:].view(5, 2, 257)[..., :256]
    truth, slots, inputs = pool.double(), torch.tensor([4, 1, 2]), draw_inputs(RULE, 3)
    assert not triton.is_aligned(pool.view(5, 2, 16, 16))
    RULE.step(truth, [x.double() for x in inputs], slots, slots, backend="naive")
    triton.step(pool, inputs, slots, slots, None, True)
    torch.testing.assert_close(pool.double(), truth, rtol=1e-4, atol=1e-4)


def test_pages_may_lie_more_than_two_billion_elements_apart(draw_inputs, tmp_path):
    # A sparse file: twelve gigabytes of addresses, a few pages of disk.
    span = 2**30
    pages = torch.from_file(str(tmp_path / "pages"), shared=True, size=3 * span, dtype=torch.float32)
    pool = pages.view(3, span)[:, : 2 * 256].view(3, 2, 256)
    small, slots, inputs = torch.zeros(3, 2, 256), torch.tensor([2]), draw_inputs(RULE, 1)
    torch.testing.assert_close(
        triton.step(pool, inputs, slots, slots, None, True), triton.step(small, inputs, slots, slots, None, True)
    )
    torch.testing.assert_close(pool[2], small[2])


def test_a_step_of_no_rows_is_no_step(draw_step):
    assert triton.step(*draw_step(RULE).rows([]).arguments, None, True).shape == (0, 2, 16)
