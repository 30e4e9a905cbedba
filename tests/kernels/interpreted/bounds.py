"""Triton steps touch what they are given and nothing beside it, by Triton's interpreter; see `steps.py` beside this.

Every tensor is the inside of a larger one of NaN on all of its axes: what is read beside it would spoil a result, what
is written beside it would change a bit. Slots are followed by such that lead to a page behind the last.
"""

from dataclasses import dataclass, replace

import pytest
import torch
from plures_kernels import RULES
from torch import Tensor

# A NaN that no arithmetic makes.
GUARD = 0x7FC0BEEF
BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}
STEPPED = {name: rule for name, rule in RULES.items() if "triton" in rule.steps}
POOLS = [
    pytest.param(rule, dtype, id=f"{name}-{dtype}")
    for name, rule in STEPPED.items()
    for dtype in BITS
    if rule.step_for.get(("cuda", dtype)) == "triton"
]


@dataclass(frozen=True)
class Guarded:
    """The inside of a tensor, and all of it."""

    inside: Tensor
    whole: Tensor

    def bits(self) -> Tensor:
        return self.whole.view(BITS[self.whole.dtype]).clone()


def guarded(x, width=3):
    """The tensor with so many guards before and behind it on each axis."""
    bits = torch.full([extent + 2 * width for extent in x.shape], GUARD >> 16 * (x.element_size() == 2))
    whole = bits.to(BITS[x.dtype]).view(x.dtype)
    inside = whole[(slice(width, -width),) * x.dim()]
    inside.copy_(x)
    return Guarded(inside, whole)


def guarded_slots(slots_B, pages):
    """Slots among others that name the page behind the last."""
    whole = torch.full((len(slots_B) + 6,), pages, dtype=slots_B.dtype)
    whole[3:-3] = slots_B
    return whole[3:-3]


def guarded_step(step, width):
    """The step with everything guarded, and its pool."""
    pool = guarded(step.pool_NHS, width)
    inputs = [guarded(x).inside for x in step.inputs]
    slots = (guarded_slots(x, len(step.pool_NHS)) for x in (step.read_B, step.write_B))
    return pool, (pool.inside, inputs, *slots)


@pytest.mark.parametrize(("rule", "dtype"), POOLS)
# Guards of 16 entries leave the pool aligned to 128 bits.
@pytest.mark.parametrize(("H", "V", "K", "width"), [(2, 16, 16, 16), (3, 24, 10, 3)])
def test_a_step_reads_and_writes_nothing_beside_its_tensors(rule, dtype, draw_step, H, V, K, width):
    step = draw_step(rule, B=11, H=H, V=V, K=K)
    step = replace(step, pages_NLHS=step.pages_NLHS.to(dtype))
    pool, arguments = guarded_step(step, width)
    before = pool.bits()
    y = rule.steps["triton"](*arguments, None, True)
    live = step.write_B >= 0
    assert y[live].isfinite().all()
    assert pool.inside[step.write_B[live]].isfinite().all()
    after = pool.bits()
    inside = (slice(width, -width),) * 3
    after[inside][step.write_B[live]] = before[inside][step.write_B[live]]
    torch.testing.assert_close(after, before, rtol=0, atol=0)


@pytest.mark.parametrize("rule", STEPPED.values(), ids=STEPPED)
def test_a_write_behind_the_last_page_would_be_noticed(rule, draw_step):
    step = draw_step(rule, B=4)
    pool, (inside, inputs, read_B, write_B) = guarded_step(step, 3)
    before = pool.bits()
    write_B[1] = len(inside)
    rule.steps["triton"](inside, inputs, read_B, write_B, None, True)
    assert (pool.bits() != before)[-3:].any()
