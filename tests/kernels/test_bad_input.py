"""What a rule refuses, and that nothing has changed then."""

import pytest
import torch
from plures_kernels import RULES, InvalidArgument
from plures_kernels.slots import require_slots

pytestmark = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)

POOL, Q, K, V, LOG_DECAY, BETA, READ, WRITE = range(8)


@pytest.fixture
def arguments(draw_tokens):
    slots = torch.arange(3)
    return [torch.zeros(8, 2, 4, 6), *draw_tokens(3, 2, K=6, V=4), slots, slots.clone()]


@pytest.mark.parametrize(
    ("place", "change", "complaint"),
    [
        (POOL, lambda x: x[0], r"pool_NHVK has shape \(2, 4, 6\); its axes must be \(N, H, V, K\)"),
        (Q, lambda x: x[:, :, :5], r"q_BHK has shape \(3, 2, 5\): axis K must be 6, as in pool_NHVK"),
        (K, lambda x: x[:2], r"k_BHK has shape \(2, 2, 6\): axis B must be 3, as in q_BHK"),
        (V, lambda x: x[:, :1], r"v_BHV has shape \(3, 1, 4\): axis H must be 2"),
        (BETA, lambda x: x[..., None], r"beta_BH has shape \(3, 2, 1\)"),
        (POOL, lambda x: x[..., :0], r"pool_NHVK has shape \(8, 2, 4, 0\): axis K must be at least 1"),
        (WRITE, lambda x: x[:2], r"write_B has shape \(2,\): axis B must be 3"),
        (LOG_DECAY, lambda x: x.double(), r"log_decay_BH is torch.float64 on cpu; it must be torch.float32"),
        (Q, lambda x: x.to("meta"), r"q_BHK is torch.float32 on meta; it must be torch.float32 on cpu"),
        (POOL, lambda x: x.bfloat16(), r"pool_NHVK is torch.bfloat16; use torch.float32 or torch.float64"),
        (POOL, lambda x: x.mT.contiguous().mT, r"its last axis must be contiguous"),
        (K, lambda x: x.repeat_interleave(2, -1)[..., ::2], r"k_BHK has strides .* its last axis must be contiguous"),
        (POOL, lambda x: x[:1].expand(8, -1, -1, -1), r"pool_NHVK has strides \(0, .* its pages overlap"),
        (READ, lambda x: x.float(), r"read_B is torch.float32; use torch.int32 or torch.int64"),
        (WRITE, lambda x: x.to("meta"), r"write_B is on meta; move it to cpu"),
        (WRITE, lambda x: x + 6, r"row 2 reads page 2 and writes page 8; the pool has pages 0 to 7"),
        (WRITE, lambda x: x - 2, r"row 0 reads page 0 and writes page -2"),
        (READ, lambda x: x - 1, r"row 0 reads page -1 and writes page 0"),
        (WRITE, lambda x: x * 0 + 5, r"rows 0 and 1 both write page 5; give each its own page"),
        (READ, lambda x: x.flip(0), r"row 0 reads page 2, which row 2 writes in the same step"),
    ],
)
def test_a_step_refuses_what_does_not_fit_and_writes_nothing(rule, arguments, place, change, complaint):
    arguments[place] = change(arguments[place])
    before = arguments[POOL].clone()
    with pytest.raises(InvalidArgument, match=complaint):
        rule.step(*arguments)
    torch.testing.assert_close(arguments[POOL], before, rtol=0, atol=0)


def test_the_slots_of_skipped_rows_are_not_looked_at(rule, arguments):
    arguments[READ][1], arguments[WRITE][1] = 99, -1
    rule.step(*arguments)


def test_slots_are_not_looked_at_when_that_is_asked_for(rule, arguments):
    arguments[READ] = arguments[READ].flip(0)
    rule.step(*arguments, check=False)


@pytest.mark.parametrize("backend", ["abacus", "cpu", "triton"])
def test_a_step_refuses_a_backend_that_is_unknown_or_made_for_other_tensors(rule, arguments, backend):
    doubles = [x.double() if x.is_floating_point() else x for x in arguments]
    with pytest.raises(InvalidArgument, match=f"backend '{backend}' is not"):
        rule.step(*doubles, backend=backend)


def test_a_scan_refuses_what_does_not_fit(rule, draw_tokens):
    tokens = draw_tokens(2, 5, 3, K=6, V=4)
    with pytest.raises(InvalidArgument, match=r"state_BHVK has shape \(2, 3, 6, 4\): axis V must be 4, as in v_BTHV"):
        rule.scan(*tokens, torch.zeros(2, 3, 6, 4))
    with pytest.raises(InvalidArgument, match=r"state_BHVK is torch.float64 on cpu; it must be torch.float32"):
        rule.scan(*tokens, torch.zeros(2, 3, 4, 6, dtype=torch.float64))
    with pytest.raises(InvalidArgument, match="backend 'abacus' is not known; use one of chunk, cpu, naive"):
        rule.scan(*tokens, backend="abacus")


def test_conflicts_are_found_among_many_rows(rule, generator):
    slots = torch.randperm(100_000, generator=generator)
    require_slots(100_000, slots, slots)
    twice = slots.clone()
    twice[70_000] = twice[123]
    with pytest.raises(InvalidArgument, match=f"rows 123 and 70000 both write page {slots[123]}"):
        require_slots(100_000, twice, twice)
