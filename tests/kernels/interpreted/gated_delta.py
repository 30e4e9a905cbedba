"""The Triton step on the CPU, by Triton's interpreter; `test_triton.py` runs this with TRITON_INTERPRET=1.

The interpreter must be chosen before Triton is imported, which would change it for every other test of the process.
"""

import pytest
import torch
from plures_kernels.gated_delta import naive, triton


@pytest.mark.parametrize(("H", "V", "K"), [(2, 16, 16), (2, 8, 8), (3, 24, 10), (1, 7, 48), (1, 96, 128)])
@pytest.mark.parametrize(("normalize", "slots"), [(True, torch.int32), (False, torch.int64)])
def test_a_step_agrees_with_the_float64_truth(draw_step, H, V, K, normalize, slots):
    step = draw_step(B=11, H=H, V=V, K=K, slots=slots)
    truth = step.copy(torch.float64)
    y_true = naive.step(*truth.arguments, normalize)
    y = triton.step(*step.arguments, normalize)
    torch.testing.assert_close(y.double(), y_true, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(step.pages_NLHVK.double(), truth.pages_NLHVK, rtol=1e-4, atol=1e-4, equal_nan=True)
    untouched = [page for page in range(len(step.pages_NLHVK)) if page not in step.write_B]
    torch.testing.assert_close(
        step.pages_NLHVK[untouched].double(), truth.pages_NLHVK[untouched], rtol=0, atol=0, equal_nan=True
    )


def test_a_pool_that_is_not_aligned_to_128_bits_is_stepped_too(draw_tokens, generator):
    flat = torch.randn(5 * 2 * 16 * 17 + 1, generator=generator)
    pool = flat[1:].view(5, 2, 16, 17)[..., :16]
    truth, slots, tokens = pool.double(), torch.tensor([4, 1, 2]), draw_tokens(3, 2, K=16, V=16)
    assert not triton.is_aligned(pool)
    naive.step(truth, *(x.double() for x in tokens), slots, slots, True)
    triton.step(pool, *tokens, slots, slots, True)
    torch.testing.assert_close(pool.double(), truth, rtol=1e-4, atol=1e-4)


def test_pages_may_lie_more_than_two_billion_elements_apart(draw_tokens, tmp_path):
    # A sparse file: twelve gigabytes of addresses, a few pages of disk.
    span = 2**30
    pages = torch.from_file(str(tmp_path / "pages"), shared=True, size=3 * span, dtype=torch.float32)
    pool = pages.view(3, span)[:, : 2 * 16 * 16].view(3, 2, 16, 16)
    small, slots, tokens = torch.zeros(3, 2, 16, 16), torch.tensor([2]), draw_tokens(1, 2, K=16, V=16)
    torch.testing.assert_close(
        triton.step(pool, *tokens, slots, slots, True), triton.step(small, *tokens, slots, slots, True)
    )
    torch.testing.assert_close(pool[2], small[2])


def test_a_step_of_no_rows_is_no_step(draw_step):
    assert triton.step(*draw_step().rows([]).arguments, True).shape == (0, 2, 16)
