"""The Triton steps on the CPU, by Triton's interpreter; `test_triton.py` runs this with TRITON_INTERPRET=1.

The interpreter must be chosen before Triton is imported, which would change it for every other test of the process.
"""

import pytest
import torch
from plures_kernels import RULES

STEPPED = {name: rule for name, rule in RULES.items() if "triton" in rule.steps}
HALVED = {name: rule for name, rule in STEPPED.items() if ("cuda", torch.bfloat16) in rule.step_for}
rules = pytest.mark.parametrize("rule", STEPPED.values(), ids=STEPPED)


def step_by_triton(step, noise=None, normalize=True):
    return step.rule.steps["triton"](*step.arguments, noise, normalize)


@rules
@pytest.mark.parametrize(("H", "V", "K"), [(2, 16, 16), (2, 8, 8), (3, 24, 10), (1, 7, 48), (1, 96, 128)])
@pytest.mark.parametrize(("normalize", "slots"), [(True, torch.int32), (False, torch.int64)])
def test_a_step_agrees_with_the_float64_truth(rule, draw_step, H, V, K, normalize, slots):
    step = draw_step(rule, B=5, H=H, V=V, K=K, slots=slots)
    truth = step.copy(torch.float64)
    y_true = rule.step(*truth.arguments, backend="naive", normalize=normalize)
    y = step_by_triton(step, normalize=normalize)
    torch.testing.assert_close(y.double(), y_true, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(step.pages_NLHS.double(), truth.pages_NLHS, rtol=1e-4, atol=1e-4, equal_nan=True)
    untouched = [page for page in range(len(step.pages_NLHS)) if page not in step.write_B]
    torch.testing.assert_close(
        step.pages_NLHS[untouched].double(), truth.pages_NLHS[untouched], rtol=0, atol=0, equal_nan=True
    )


@pytest.mark.parametrize("rule", HALVED.values(), ids=HALVED)
@pytest.mark.parametrize("noisy", [True, False])
def test_a_step_on_bfloat16_states_agrees_with_the_truth_rounded_alike(rule, draw_step, generator, noisy):
    step = draw_step(rule, B=5)
    step.pages_NLHS = step.pages_NLHS.bfloat16()
    truth = step.copy(torch.float64)
    truth.pages_NLHS = step.pages_NLHS.clone()
    noise = torch.randint(-(2**63), 2**63 - 1, (5,), generator=generator) if noisy else None
    y_true = rule.step(*truth.arguments, noise_B=noise, backend="naive")
    torch.testing.assert_close(step_by_triton(step, noise).double(), y_true, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(step.pages_NLHS, truth.pages_NLHS, rtol=2**-7, atol=1e-4, equal_nan=True)
    same = (step.pages_NLHS == truth.pages_NLHS) | truth.pages_NLHS.isnan()
    assert same.float().mean() > 0.99


@rules
def test_a_pool_that_is_not_aligned_to_128_bits_is_stepped_too(rule, draw_step):
    step = draw_step(rule)
    floats = step.pool_NHS.size(-1)
    pages = torch.empty(len(step.pool_NHS), 2, floats + 1).flatten()
    unaligned = pages[1:].as_strided(step.pool_NHS.shape, (2 * floats + 2, floats + 1, 1)).copy_(step.pool_NHS)
    y = rule.steps["triton"](unaligned, *step.arguments[1:], None, True)
    torch.testing.assert_close(y, step_by_triton(step))
    torch.testing.assert_close(unaligned, step.pool_NHS, equal_nan=True)


@rules
def test_pages_may_lie_more_than_two_billion_elements_apart(rule, draw_inputs, draw_state, tmp_path):
    # A sparse file: twelve gigabytes of addresses, a few pages of disk.
    span, small, inputs = 2**30, draw_state(rule, 3).zero_(), draw_inputs(rule, 1)
    pages = torch.from_file(str(tmp_path / "pages"), shared=True, size=3 * span, dtype=torch.float32)
    pool, slots = pages.view(3, span)[:, : small[0].numel()].view(small.shape), torch.tensor([2])
    step = rule.steps["triton"]
    torch.testing.assert_close(
        step(pool, inputs, slots, slots, None, True), step(small, inputs, slots, slots, None, True)
    )
    torch.testing.assert_close(pool[2], small[2])


@rules
def test_a_step_of_no_rows_is_no_step(rule, draw_step):
    assert step_by_triton(draw_step(rule).rows([])).shape == (0, 2, 16)
