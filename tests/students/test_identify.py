"""Members of the family weighed by a teacher's lives."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from gymnasium.spaces import Box, Discrete
from hypothesis import given
from hypothesis import strategies as st
from plures_kernels.errors import InvalidArgument
from plures_students.commands import identify as command
from plures_students.identify.compare import identify
from plures_students.identify.members import SEEDS, read_members
from plures_students.identify.shares import mass, paired, shares
from plures_students.identify.sizes import Size, parameters, sized, state_bytes, with_parameters
from plures_students.imitate import ImitationSettings
from plures_students.lives import Lives, LivesCard, LivesError, write_lives
from plures_students.teachers import Bandit, Thompson, record

FEW = ImitationSettings(steps=4, batch=200, length=40, short=40, rehearse=False, validate_every=2, warmup=1)
SMALL = Size(parameters=12_000, state_bytes=512)


def thompson(lives: int, seed: int, steps: int = 60) -> Lives:
    return record(Bandit(3), Thompson(), lives, steps, seed)


@pytest.mark.parametrize("name", SEEDS)
def test_seeds_are_of_one_size(name: str) -> None:
    rule, _, think = name.partition("+think:")
    config = sized(Discrete(1), Discrete(3), rule, int(think or 0), Size())
    assert parameters(config) == pytest.approx(Size().parameters, rel=0.01)
    assert 0.97 * Size().state_bytes <= state_bytes(config) <= Size().state_bytes


def test_a_size_that_no_student_has_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="no gru student has 1,000 slow weights and 4,096 bytes of state"):
        sized(Discrete(1), Discrete(3), "gru", 0, Size(1000, 4096))
    with pytest.raises(InvalidArgument, match="slow weights or more, not 10"):
        with_parameters(sized(Discrete(1), Discrete(3), "delta", 0, Size()), 10)


def test_the_teacher_is_found_among_algorithms(tmp_path: Path) -> None:
    members = read_members("algorithms,chance", Size(), FEW)
    report = identify(members, thompson(30, seed=1), thompson(20, seed=2), tmp_path)
    best = report["members"][0]
    assert best["member"] == "thompson"
    assert best["behind_best"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert best["mass"] > 0.99
    assert all(row["behind_best"]["mean"] > 0 for row in report["members"][1:])
    assert sum(row["share"]["mean"] for row in report["members"]) == pytest.approx(1)
    assert report["misfit_of_best"]["alarms"] < 0.2
    chance = next(row for row in report["members"] if row["member"] == "chance")
    assert chance["nll"] == pytest.approx(np.log(3))
    np.testing.assert_allclose(np.mean(best["nll_by_life"]), best["nll"], atol=1e-5)


def test_networks_and_the_classic_learner_stand_beside(tmp_path: Path) -> None:
    members = read_members("gated_delta, context+think:1, classic, thompson", SMALL, FEW)
    report = identify(members, thompson(8, seed=1), thompson(4, seed=2), tmp_path)
    rows = {row["member"]: row for row in report["members"]}
    assert rows["context+think:1"]["found"]["think"] == 1
    assert rows["gated_delta"]["state_bytes"] == 512
    assert rows["classic"]["parameters"] == 5
    assert rows["thompson"]["state_bytes"] is None


def test_a_student_that_was_left_is_taken_and_another_is_refused(tmp_path: Path) -> None:
    lives, test = thompson(8, seed=1), thompson(4, seed=2)
    first, again = (identify(read_members("gated_delta", SMALL, FEW), lives, test, tmp_path) for _ in range(2))
    assert first == again
    with pytest.raises(InvalidArgument, match="a student of another training"):
        identify(read_members("gated_delta", SMALL, FEW), test, lives, tmp_path)


def test_other_spaces_are_refused(tmp_path: Path) -> None:
    other = record(Bandit(2), Thompson(), 4, 10, seed=0)
    with pytest.raises(LivesError, match="other spaces"):
        identify(read_members("chance", Size(), FEW), thompson(4, seed=1), other, tmp_path)


def test_members_that_cannot_be_fitted_are_refused_before_any_is(tmp_path: Path) -> None:
    lives = thompson(4, seed=1)
    boxed = replace(lives, card=LivesCard(Box(0, 1, (2,)), Discrete(3)))
    steered = replace(lives, card=LivesCard(Discrete(1), Box(0, 1, ())))
    spoken = replace(lives, card=LivesCard(Discrete(256), Discrete(256)))
    for wrong, members, complaint in (
        (lives.select([0]), "chance,gru", "member gru: there is one life; two are needed"),
        (boxed, "gated_delta,classic", "member classic: it wants Discrete spaces"),
        (boxed, "gated_delta,thompson", "member thompson: algorithms know Discrete spaces alone"),
        (spoken, "gated_delta,classic", "member classic: .* up to 4,096 it is fitted"),
        (steered, "gru", "member gru: .*; students imitate Discrete ones"),
        (steered, "chance", "member chance: .*; chance is that of Discrete ones"),
    ):
        with pytest.raises(InvalidArgument, match=complaint):
            identify(read_members(members, SMALL, FEW), wrong, wrong, tmp_path)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["gate", "gru+think", "gru+think:x", "thompson+think:2", ""])
def test_unknown_members_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="is not known; known: chance, classic, q_epsilon"):
        read_members(name, Size(), FEW)


def test_mass_is_that_of_the_product_over_lives() -> None:
    odds = np.log([[0.5, 0.25], [0.5, 0.25], [0.25, 0.5]])
    np.testing.assert_allclose(mass(odds), [2 / 3, 1 / 3])


def test_shares_follow_lives_that_are_sure_of_their_member() -> None:
    sure = np.where(np.arange(3) == np.array([0] * 60 + [1] * 30)[:, None], 0.0, -50.0)
    mean, bounds = shares(sure)
    np.testing.assert_allclose(mean, [61 / 93, 31 / 93, 1 / 93], atol=1e-6)
    assert (bounds[0] < mean).all()
    assert (mean < bounds[1]).all()


@given(st.integers(2, 5), st.integers(0, 1000))
def test_what_says_nothing_leaves_shares_even(members: int, seed: int) -> None:
    evidence = np.random.default_rng(seed).normal(size=(7, 1)) * np.ones(members)
    np.testing.assert_allclose(shares(evidence)[0], 1 / members)


def test_members_are_compared_on_the_same_lives() -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(100, 30, 50)
    loss = np.stack([common, common + rng.normal(1, 0.1, 50)], axis=1)
    behind, bounds = paired(loss, np.full(50, 10))
    np.testing.assert_allclose(behind, [0, 0.1], atol=0.01)
    assert bounds[1, 1] - bounds[0, 1] < 0.01


def test_the_command_ranks_draws_and_writes(tmp_path: Path) -> None:
    write_lives(tmp_path / "train", thompson(10, seed=1, steps=30))
    write_lives(tmp_path / "test", thompson(6, seed=2, steps=30))
    options = ["--members", "thompson,perseverator,chance", "--out", str(tmp_path / "out")]
    said = CliRunner().invoke(command, [str(tmp_path / "train"), "--test", str(tmp_path / "test"), *options])
    assert said.exit_code == 0, said.output
    assert "Best: thompson" in said.output
    report = json.loads((tmp_path / "out" / "identify.json").read_text())
    assert [row["member"] for row in report["members"]] == ["thompson", "perseverator", "chance"]
    assert (tmp_path / "out" / "identify.png").stat().st_size > 5_000
    wrong = CliRunner().invoke(command, [str(tmp_path / "train"), "--test", str(tmp_path / "test"), "--members", "x",
                                         "--out", str(tmp_path / "out")])  # fmt: skip
    assert wrong.exit_code == 1
    assert "Error: member 'x' is not known" in wrong.output
