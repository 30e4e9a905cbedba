"""What replay refuses, and that nothing has changed then."""

from dataclasses import replace

import pytest
import torch
from plures_kernels import RULES, InvalidArgument
from plures_kernels.replay import REPLAYS, Base, Factors

from .conftest import inputs_of

REPLAY = REPLAYS["gated_delta"]
SIZES = {"H": 2, "K": 6, "V": 4}


@pytest.fixture
def call(generator):
    """The arguments of a step of three rows, by name: slots 0 to 2 of eight, which have room for two factors."""
    factors = REPLAY.empty(8, 2, **SIZES)
    for buffer in factors.tensors[:3]:
        buffer.zero_()
    base = Base(torch.zeros(2, 2, 24), torch.tensor([0, 1, 1]))
    inputs = inputs_of(generator, RULES["gated_delta"], 3, **SIZES)
    return {"factors": factors, "inputs": inputs, "slot_B": torch.arange(3), "base": base}


def with_input(call, place, change):
    call["inputs"][place] = change(call["inputs"][place])


def with_base(call, **changes):
    call["base"] = replace(call["base"], **changes)


def with_factors(call, **changes):
    call["factors"] = replace(call["factors"], **changes)


def with_counts(call, counts):
    call["factors"].count_A[: len(counts)] = torch.tensor(counts)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda c: with_counts(c, [1, 2]), "row 1: slot 1 has 2 factors, which is all that it has room for; densify"),
        (lambda c: c["slot_B"].copy_(torch.tensor([4, 3, 4])), "rows 0 and 2 both have slot 4; give each its own"),
        (lambda c: c["slot_B"].add_(6), "row 2 has slot 8; there are slots 0 to 7, and a row to skip has slot -1"),
        (lambda c: c["slot_B"].sub_(2), "row 0 has slot -2"),
        (lambda c: c["base"].index_B.add_(1), "row 1 stands on base 2; there are bases 0 to 1"),
        (lambda c: c["base"].index_B.sub_(1), "row 0 stands on base -1"),
        (lambda c: with_base(c, states_MHS=torch.zeros(2, 2, 9)), "axis S must be 24, as in a state with K = 6, V = 4"),
        (lambda c: with_base(c, states_MHS=torch.zeros(2, 2, 24).double()), r"states_MHS is torch.float64 on cpu"),
        (lambda c: with_base(c, index_B=torch.zeros(3)), r"index_B is torch.float32; use torch.int32 or torch.int64"),
        (lambda c: with_base(c, index_B=torch.zeros(2).long()), r"axis B must be 3"),
        (lambda c: with_input(c, 0, lambda x: x[..., :5]), r"axis K must be 6, as in keys_AHLK"),
        (lambda c: with_input(c, 3, lambda x: x[..., None].repeat(1, 1, 2)), r"axis G must be 1, as in decays_AHLG"),
        (lambda c: with_input(c, 4, lambda x: x.double()), r"beta_BH is torch.float64 on cpu"),
        (lambda c: c["inputs"].pop(), r"rule 'gated_delta' has 5 inputs \(q, k, v, log_decay, beta\), not 4"),
        (lambda c: with_factors(c, count_A=torch.zeros(8)), r"count_A is torch.float32 on cpu; it must be torch.int64"),
        (lambda c: with_factors(c, keys_AHLK=torch.zeros(8, 2, 6, 2).mT), r"keys_AHLK has strides .* contiguous"),
    ],
)  # fmt: skip
def test_a_step_refuses_what_does_not_fit_and_writes_nothing(call, change, complaint):
    change(call)
    before = Factors(*(x.clone() for x in call["factors"].tensors))
    with pytest.raises(InvalidArgument, match=complaint):
        REPLAY.step(**call)
    for ours, theirs in zip(call["factors"].tensors, before.tensors, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda c: c["slot_B"].copy_(torch.tensor([4, 3, 4])), "rows 0 and 2 both have slot 4"),
        (lambda c: c["slot_B"].add_(6), "row 2 has slot 8"),
        (lambda c: c["write_B"].fill_(1), "rows 0 and 1 both write page 1; give each its own page"),
        (lambda c: c["write_B"].add_(3), "row 2 reads page 5 and writes page 5; the pool has pages 0 to 4"),
        (lambda c: c["base"].index_B.add_(1), "row 1 stands on base 2; there are bases 0 to 1"),
        (lambda c: c.update(noise_B=torch.zeros(3).long()), "pool_NHS is torch.float32, which is not rounded"),
        (lambda c: c.update(pool_NHS=c["pool_NHS"][:1].expand(5, -1, -1)), "pool_NHS has strides .* its pages overlap"),
        (lambda c: c.update(backend="abacus"), "backend 'abacus' is not known"),
    ],
)  # fmt: skip
def test_densifying_refuses_what_does_not_fit_and_writes_nothing(call, change, complaint):
    del call["inputs"]
    call |= {"pool_NHS": torch.zeros(5, 2, 24), "write_B": torch.arange(3)}
    call["factors"].count_A[:3] = 1
    change(call)
    with pytest.raises(InvalidArgument, match=complaint):
        REPLAY.densify(**call)
    assert (call["pool_NHS"] == 0).all()
    assert call["factors"].count_A[:3].tolist() == [1, 1, 1]


def test_a_page_that_another_row_stands_on_is_not_densified_to(call):
    pool_NHS, write_B = torch.zeros(5, 2, 24), torch.tensor([1, 2, 3])
    base = Base(pool_NHS, torch.tensor([1, 1, 3]))
    with pytest.raises(InvalidArgument, match="row 1 reads page 1, which row 0 writes in the same step"):
        REPLAY.densify(call["factors"], call["slot_B"], pool_NHS, write_B, base)


def test_values_are_looked_at_when_that_is_asked_for(call):
    call["inputs"][3].fill_(0.5)
    with pytest.raises(InvalidArgument, match=r"log_decay_BH has 0.5 at \(0, 0\)"):
        REPLAY.step(**call, check=True)


def test_the_base_of_a_skipped_row_is_not_looked_at(call):
    call["slot_B"][1], call["base"].index_B[1] = -1, 99
    REPLAY.step(**call)
    assert call["factors"].count_A.tolist() == [1, 0, 1, 0, 0, 0, 0, 0]
