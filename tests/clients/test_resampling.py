"""Which particles go on: laws that hold whatever the scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from plures_client.coordinators.particles import capped
from plures_client.coordinators.resampling import effective, systematic, tempered
from plures_client.errors import InvalidArgument

SCORES = arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e9, 1e9))
SHARE = st.floats(0.05, 1.0)


@given(SCORES, SHARE)
def test_weights_sum_to_one_and_rise_with_score(score, share):
    weight = tempered(score, share)

    assert weight.sum() == pytest.approx(1)
    order = np.argsort(score)
    assert (np.diff(weight[order]) >= 0).all()


@given(arrays(np.float64, st.integers(4, 60), elements=st.floats(0, 1e6), unique=True), st.floats(0.3, 0.95))
def test_the_share_that_goes_on_is_the_one_asked_for(score, share):
    assert effective(tempered(score, share)) == pytest.approx(share * len(score), rel=0.02)


@given(arrays(np.int64, st.integers(4, 40), elements=st.integers(-1000, 1000)), st.floats(1e-3, 1e3), SHARE)
def test_weights_do_not_depend_on_the_scale_of_scores(score, scale, share):
    score = score.astype(float)
    np.testing.assert_allclose(tempered(score * scale + 7, share), tempered(score, share), atol=1e-6)


def test_what_scored_nothing_weighs_nothing_and_equals_weigh_the_same():
    np.testing.assert_array_equal(tempered(np.array([2.0, -np.inf, 2.0, 2.0]), 0.5), [1 / 3, 0, 1 / 3, 1 / 3])


@pytest.mark.parametrize("score", [[np.nan, 1.0], [np.inf, 1.0], [-np.inf, -np.inf]])
def test_scores_that_cannot_be_compared_are_refused(score):
    with pytest.raises(InvalidArgument, match="scores from"):
        tempered(np.array(score), 0.5)


@given(SCORES, SHARE, st.floats(0, 1, exclude_max=True))
def test_descendants_are_as_many_as_particles_and_in_proportion_to_weight(score, share, draw):
    weight = tempered(score, share)
    descendants = systematic(weight, draw)

    assert descendants.sum() == len(score)
    assert (np.abs(descendants - weight * len(score)) < 1 + 1e-6).all()


@given(SCORES, st.integers(1, 8), st.floats(0, 1, exclude_max=True))
def test_nobody_has_more_descendants_than_are_allowed(score, most, draw):
    descendants = systematic(tempered(score, 0.1), draw)
    kept = capped(descendants, most, score)

    assert kept.sum() == len(score)
    assert kept.max() <= most
    assert (kept >= np.minimum(descendants, most)).all()
