"""What a rule refuses, and that nothing has changed then. What is checked is the same code for all of them."""

import pytest
import torch
from plures_kernels import RULES, InvalidArgument
from plures_kernels.slots import require_slots

POOL, Q, K, V, LOG_DECAY, BETA, READ, WRITE = range(8)
RULE = RULES["gated_delta"]


def step(arguments, **options):
    pool, *inputs, read, write = arguments
    return RULE.step(pool, inputs, read, write, **options)


@pytest.fixture
def arguments(draw_inputs):
    slots = torch.arange(3)
    return [torch.zeros(8, 2, 24), *draw_inputs(RULE, 3, K=6, V=4), slots, slots.clone()]


@pytest.mark.parametrize(
    ("place", "change", "complaint"),
    [
        (POOL, lambda x: x[0], r"pool_NHS has shape \(2, 24\); its axes must be \(N, H, S\)"),
        (Q, lambda x: x[:, :, :5], r"k_BHK has shape \(3, 2, 6\): axis K must be 5, as in q_BHK"),
        (K, lambda x: x[:2], r"k_BHK has shape \(2, 2, 6\): axis B must be 3, as in q_BHK"),
        (V, lambda x: x[:, :1], r"v_BHV has shape \(3, 1, 4\): axis H must be 2"),
        (BETA, lambda x: x[..., None], r"beta_BH has shape \(3, 2, 1\)"),
        (POOL, lambda x: x[..., :20], r"axis S must be 24, as in a state of rule 'gated_delta' with V = 4, K = 6"),
        (V, lambda x: x[..., :0], r"v_BHV has shape \(3, 2, 0\): axis V must be at least 1"),
        (WRITE, lambda x: x[:2], r"write_B has shape \(2,\): axis B must be 3"),
        (LOG_DECAY, lambda x: x.double(), r"log_decay_BH is torch.float64 on cpu; it must be torch.float32"),
        (K, lambda x: x.to("meta"), r"k_BHK is torch.float32 on meta; it must be torch.float32 on cpu"),
        (Q, lambda x: x.bfloat16(), r"q_BHK is torch.bfloat16; use torch.float32 or torch.float64"),
        (POOL, lambda x: x.half(), r"pool_NHS is torch.float16 on cpu; it must be torch.float32 on cpu"),
        (POOL, lambda x: x.mT.contiguous().mT, r"pool_NHS has strides .* its last axis must be contiguous"),
        (K, lambda x: x.repeat_interleave(2, -1)[..., ::2], r"k_BHK has strides .* its last axis must be contiguous"),
        (POOL, lambda x: x[:1].expand(8, -1, -1), r"pool_NHS has strides \(0, .* its pages overlap"),
        (READ, lambda x: x.float(), r"read_B is torch.float32; use torch.int32 or torch.int64"),
        (WRITE, lambda x: x.to("meta"), r"write_B is on meta; move it to cpu"),
        (WRITE, lambda x: x + 6, r"row 2 reads page 2 and writes page 8; the pool has pages 0 to 7"),
        (WRITE, lambda x: x - 2, r"row 0 reads page 0 and writes page -2"),
        (READ, lambda x: x - 1, r"row 0 reads page -1 and writes page 0"),
        (WRITE, lambda x: x * 0 + 5, r"rows 0 and 1 both write page 5; give each its own page"),
        (READ, lambda x: x.flip(0), r"row 0 reads page 2, which row 2 writes in the same step"),
    ],
)
def test_a_step_refuses_what_does_not_fit_and_writes_nothing(arguments, place, change, complaint):
    arguments[place] = change(arguments[place])
    before = arguments[POOL].clone()
    with pytest.raises(InvalidArgument, match=complaint):
        step(arguments)
    torch.testing.assert_close(arguments[POOL], before, rtol=0, atol=0)


def test_the_slots_of_skipped_rows_are_not_looked_at(arguments):
    arguments[READ][1], arguments[WRITE][1] = 99, -1
    step(arguments)


def test_slots_are_not_looked_at_when_that_is_asked_for(arguments):
    arguments[READ] = arguments[READ].flip(0)
    step(arguments, check=False)


@pytest.mark.parametrize("backend", ["abacus", "cpu", "triton"])
def test_a_step_refuses_a_backend_that_is_unknown_or_made_for_other_tensors(arguments, backend):
    doubles = [x.double() if x.is_floating_point() else x for x in arguments]
    with pytest.raises(InvalidArgument, match=f"backend '{backend}' is not"):
        step(doubles, backend=backend)


def test_a_scan_refuses_what_does_not_fit(draw_inputs):
    inputs = draw_inputs(RULE, 2, 5, H=3, K=6, V=4)
    with pytest.raises(InvalidArgument, match=r"state_BHS has shape \(2, 3, 20\): axis S must be 24"):
        RULE.scan(inputs, torch.zeros(2, 3, 20))
    with pytest.raises(InvalidArgument, match=r"state_BHS is torch.float64 on cpu; it must be torch.float32"):
        RULE.scan(inputs, torch.zeros(2, 3, 24, dtype=torch.float64))
    with pytest.raises(InvalidArgument, match="backend 'abacus' is not known; use one of chunk, cpu, naive"):
        RULE.scan(inputs, backend="abacus")
    with pytest.raises(InvalidArgument, match=r"rule 'gated_delta' has 5 inputs \(q, k, v, log_decay, beta\), not 4"):
        RULE.scan(inputs[:4])


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (V, torch.nan, r"v_BHV has nan at \(1, 0, 2\); its entries lie in"),
        (K, torch.inf, r"k_BHK has inf at \(1, 0, 2\)"),
        (LOG_DECAY, 0.5, r"log_decay_BH has 0.5 at \(1, 0\); its entries lie in \[-inf, 0\]"),
        (BETA, -0.1, r"beta_BH has -0.1 at \(1, 0\); its entries lie in \[0, 1\]"),
    ],
)
def test_a_step_looks_at_values_when_that_is_asked_for(arguments, place, value, complaint):
    arguments[place] = arguments[place].clone()
    arguments[place][(1, 0, 2)[: arguments[place].dim()]] = value
    before = arguments[POOL].clone()
    with pytest.raises(InvalidArgument, match=complaint):
        step(arguments, check=True)
    torch.testing.assert_close(arguments[POOL], before, rtol=0, atol=0)


def test_noise_is_for_rounding_alone(arguments):
    with pytest.raises(InvalidArgument, match=r"pool_NHS is torch.float32, which is not rounded; leave noise_B out"):
        step(arguments, noise_B=torch.zeros(3, dtype=torch.int64))
    arguments[POOL] = arguments[POOL].bfloat16()
    with pytest.raises(InvalidArgument, match=r"noise_B is torch.int32; use torch.int64"):
        step(arguments, noise_B=torch.zeros(3, dtype=torch.int32))


def test_conflicts_are_found_among_many_rows(generator):
    slots = torch.randperm(100_000, generator=generator)
    require_slots(100_000, slots, slots)
    twice = slots.clone()
    twice[70_000] = twice[123]
    with pytest.raises(InvalidArgument, match=f"rows 123 and 70000 both write page {slots[123]}"):
        require_slots(100_000, twice, twice)
