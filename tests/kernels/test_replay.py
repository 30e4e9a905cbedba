"""Replay against the dense memories: the same outputs and states from a base and the factors since.

A slots, B rows, H heads, L factors, K key channels, V value channels, M bases, N pages, S floats of a head's state.
"""

from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plures_kernels import RULES, Kind
from plures_kernels.replay import REPLAYS, Base, Factors, Replay
from plures_kernels.replay.naive import dense
from torch import Tensor

from .conftest import inputs_of, state_of

EQUAL = {"rtol": 0, "atol": 0, "equal_nan": True}
CLOSE = {"rtol": 2e-4, "atol": 2e-4}
H = 2


FAMILY = {name: replay.rule for name, replay in REPLAYS.items()}
rules = pytest.mark.parametrize("rule", FAMILY.values(), ids=FAMILY)
BACKENDS = pytest.mark.parametrize("backend", ["cpu", "naive"])
kinds = pytest.mark.parametrize("kind", ["newborn", "shared", "own"])


@dataclass
class Young:
    """Memories in slots of a buffer, and the same ones as dense states in float64."""

    replay: Replay
    factors: Factors
    slot_B: Tensor
    base: Base | None
    truth_NHS: Tensor

    def step(self, inputs, backend=None, skipped=()):
        """One step of both, compared; the rows named are skipped."""
        live_B = torch.ones(len(self.slot_B), dtype=torch.bool)
        live_B[list(skipped)] = False
        slot_B, page_B = (torch.where(live_B, x, -1) for x in (self.slot_B, torch.arange(len(self.slot_B))))
        y = self.replay.step(self.factors, inputs, slot_B, self.base, backend=backend)
        y_true = self.replay.rule.step(self.truth_NHS, [x.double() for x in inputs], page_B, page_B, backend="naive")
        torch.testing.assert_close(y.double(), y_true, **CLOSE)
        return y

    def densify(self, backend=None):
        pool_NHS = torch.full(self.truth_NHS.shape, torch.nan)
        here = torch.arange(len(pool_NHS))
        self.replay.densify(self.factors, self.slot_B, pool_NHS, here, self.base, backend=backend)
        return pool_NHS


def young(generator, rule, B, window, kind, bases=3, **extents) -> Young:
    """Newborns in random slots of a buffer that is NaN wherever nothing was written."""
    sizes = {"H": H, "K": 16, "V": 16, **extents}
    replay = Replay(rule)
    factors = replay.empty(2 * B, window, **sizes)
    for buffer in factors.tensors[:3]:
        buffer.fill_(torch.nan)
    slot_B = torch.randperm(2 * B, generator=generator)[:B]
    M = B if kind == "own" else bases
    states_MHS = state_of(generator, rule, M, **sizes)
    index_B = torch.randperm(M, generator=generator) if kind == "own" else torch.randint(M, (B,), generator=generator)
    if kind == "newborn":
        return Young(replay, factors, slot_B, None, torch.zeros(B, *states_MHS.shape[1:], dtype=torch.float64))
    return Young(replay, factors, slot_B, Base(states_MHS, index_B, kind == "shared"), states_MHS[index_B].double())


@rules
@kinds
@BACKENDS
@pytest.mark.parametrize(("V", "K"), [(16, 16), (7, 5), (24, 10)])
def test_young_memories_answer_as_dense_ones_and_become_them(generator, rule, kind, backend, V, K):
    copies = young(generator, rule, 9, 12, kind, V=V, K=K)
    for _ in range(12):
        copies.step(inputs_of(generator, rule, 9, V=V, K=K), backend)
    pool_NHS = copies.densify(backend)
    torch.testing.assert_close(pool_NHS.double(), copies.truth_NHS, **CLOSE)
    assert (copies.factors.count_A == 0).all()


@rules
@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32), B=st.integers(1, 20), ages=st.integers(0, 10), kind=st.sampled_from(["shared", "own"]),
    gates=st.sampled_from(["any", "open", "shut", "mixed"]),
)  # fmt: skip
def test_at_every_age_they_agree_with_the_dense_path(rule, seed, B, ages, kind, gates):
    generator = torch.Generator().manual_seed(seed)
    copies = young(generator, rule, B, 10, kind)
    for _ in range(ages):
        inputs = with_extremes(generator, rule, inputs_of(generator, rule, B), gates)
        skipped = (torch.rand(B, generator=generator) < 0.3).nonzero().flatten().tolist()
        copies.step(inputs, skipped=skipped)
    torch.testing.assert_close(dense_of(copies), copies.truth_NHS, **CLOSE)
    torch.testing.assert_close(copies.densify().double(), copies.truth_NHS, **CLOSE)


def dense_of(copies: Young) -> Tensor:
    return dense(copies.factors, copies.slot_B, copies.base).flatten(2).double()


def with_extremes(generator, rule, inputs, gates):
    """The inputs with rates and decays at their limits: all, or some of them."""
    extremes = {Kind.LOG_DECAY: {"open": 0.0, "shut": -torch.inf}, Kind.RATE: {"open": 1.0, "shut": 0.0}}
    for inp, x in zip(rule.spec.inputs, inputs, strict=True):
        for name, value in extremes.get(inp.kind, {}).items():
            some = torch.rand(x.shape, generator=generator) < 0.2
            x[some if gates == "mixed" else some | (gates == name)] = value if gates in (name, "mixed") else x.max()
    return inputs


@rules
def test_the_dense_step_goes_on_from_the_densified_page(generator, rule):
    copies = young(generator, rule, 5, 4, "shared")
    for _ in range(4):
        copies.step(inputs_of(generator, rule, 5))
    pool_NHS, here, inputs = copies.densify(), torch.arange(5), inputs_of(generator, rule, 5)
    y = rule.step(pool_NHS, inputs, here, here)
    y_true = rule.step(copies.truth_NHS, [x.double() for x in inputs], here, here)
    torch.testing.assert_close(y.double(), y_true, **CLOSE)
    torch.testing.assert_close(pool_NHS.double(), copies.truth_NHS, **CLOSE)


@rules
@kinds
def test_a_row_has_the_same_bits_alone_as_among_others(generator, rule, kind):
    among = young(generator, rule, 30, 6, kind)
    alone = replace(among, factors=copied(among.factors))
    order = torch.randperm(30, generator=generator)
    shuffled = replace(among, factors=copied(among.factors), slot_B=among.slot_B[order], base=rows(among.base, order))
    for _ in range(6):
        inputs = inputs_of(generator, rule, 30)
        y = among.replay.step(among.factors, inputs, among.slot_B, among.base)
        y_shuffled = shuffled.replay.step(shuffled.factors, [x[order] for x in inputs], shuffled.slot_B, shuffled.base)
        torch.testing.assert_close(y_shuffled, y[order], **EQUAL)
        for row in torch.arange(30).split(1):
            mine = [x[row] for x in inputs]
            y_alone = alone.replay.step(alone.factors, mine, alone.slot_B[row], rows(alone.base, row))
            torch.testing.assert_close(y_alone, y[row], **EQUAL)
    assert_same(alone.factors, among.factors)
    assert_same(shuffled.factors, among.factors)
    pool_NHS = torch.empty(1, *among.truth_NHS.shape[1:])
    together = among.densify()
    for row in torch.arange(30).split(1):
        alone.replay.densify(alone.factors, alone.slot_B[row], pool_NHS, row * 0, rows(alone.base, row))
        torch.testing.assert_close(pool_NHS, together[row], **EQUAL)


def copied(factors: Factors) -> Factors:
    return Factors(*(x.clone() for x in factors.tensors))


def rows(base: Base | None, order: Tensor) -> Base | None:
    return base and replace(base, index_B=base.index_B[order])


def assert_same(left: Factors, right: Factors) -> None:
    for ours, theirs in zip(left.tensors, right.tensors, strict=True):
        torch.testing.assert_close(ours, theirs, **EQUAL)


@rules
@BACKENDS
def test_a_step_appends_one_factor_to_the_slots_named_and_changes_nothing_else(generator, rule, backend):
    copies = young(generator, rule, 8, 5, "shared")
    for skipped in ([0], [1, 2], [0]):
        copies.step(inputs_of(generator, rule, 8), skipped=skipped)
    before = copied(copies.factors)
    y = copies.step(inputs_of(generator, rule, 8), backend, skipped=[3])
    assert (y[3] == 0).all()
    live = [row for row in range(8) if row != 3]
    expected = before.count_A.clone()
    expected[copies.slot_B[live]] += 1
    torch.testing.assert_close(copies.factors.count_A, expected, **EQUAL)
    for old, new in zip(before.tensors[:3], copies.factors.tensors[:3], strict=True):
        for row in live:
            slot, place = copies.slot_B[row], before.window - 1 - before.count_A[copies.slot_B[row]]
            assert new[slot, :, place].isfinite().all()
            new[slot, :, place] = old[slot, :, place]
        torch.testing.assert_close(new, old, **EQUAL)


@BACKENDS
def test_a_memory_may_be_read_every_step_and_written_once_a_window(generator, backend):
    rule, here = RULES["gated_delta"], torch.arange(6)
    copies = young(generator, rule, 6, 4, "own")
    pool_NHS = copies.truth_NHS.float()
    copies.base = Base(pool_NHS, here, shared=False)
    for _ in range(3):
        before = pool_NHS.clone()
        for _ in range(4):
            copies.step(inputs_of(generator, rule, 6), backend)
        torch.testing.assert_close(pool_NHS, before, **EQUAL)
        copies.replay.densify(copies.factors, copies.slot_B, pool_NHS, here, copies.base, backend=backend)
        torch.testing.assert_close(pool_NHS.double(), copies.truth_NHS, **CLOSE)


@BACKENDS
def test_only_the_rows_named_are_densified(generator, backend):
    copies = young(generator, RULES["gated_delta"], 4, 3, "shared")
    copies.step(inputs_of(generator, copies.replay.rule, 4))
    pool_NHS = torch.full((7, H, 256), torch.nan)
    write_B = torch.tensor([5, -1, 0, -1])
    slot_B = torch.where(write_B < 0, 99, copies.slot_B)
    copies.replay.densify(copies.factors, slot_B, pool_NHS, write_B, copies.base, backend=backend)
    torch.testing.assert_close(pool_NHS[[5, 0]].double(), copies.truth_NHS[[0, 2]], **CLOSE)
    assert pool_NHS[[1, 2, 3, 4, 6]].isnan().all()
    assert copies.factors.count_A[copies.slot_B].tolist() == [0, 1, 0, 1]


def test_hundreds_of_strong_decays_leave_what_is_left(generator):
    rule = RULES["gated_delta"]
    copies = young(generator, rule, 3, 300, "shared")
    for t in range(300):
        *others, log_decay, beta = inputs_of(generator, rule, 3)
        copies.step([*others, torch.full_like(log_decay, -60.0 if t % 7 else -1e-3), beta])


def test_the_layers_of_a_page_may_be_replayed_one_by_one(generator):
    rule = RULES["gated_delta"]
    copies = young(generator, rule, 5, 3, "shared")
    wide = [torch.full((x.size(0), 2, *x.shape[1:]), torch.nan) for x in copies.factors.tensors[:3]]
    copies.factors = Factors(*(x[:, 1] for x in wide), copies.factors.count_A)
    for _ in range(3):
        copies.step(inputs_of(generator, rule, 5))
    assert all(x[:, 0].isnan().all() for x in wide)


def test_no_rows_are_no_step(generator):
    copies = young(generator, RULES["gated_delta"], 3, 2, "shared")
    nobody = torch.arange(0)
    y = REPLAYS["gated_delta"].step(
        copies.factors, inputs_of(generator, copies.replay.rule, 0), nobody, rows(copies.base, nobody)
    )
    assert y.shape == (0, H, 16)
    assert (copies.factors.count_A == 0).all()
