"""Laws are found again in what follows them, and said to fit badly where it does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plures_client.errors import InvalidArgument
from plures_client.solving import power_law, scalability_law

COPIES = 2.0 ** np.arange(9)


def scaled(gamma, sigma, kappa, n=COPIES):
    return gamma * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


@given(st.floats(1, 1e6), st.floats(0, 0.5), st.floats(0, 0.01))
def test_scalability_that_follows_the_law_is_found(gamma, sigma, kappa):
    law = scalability_law(COPIES, scaled(gamma, sigma, kappa))

    assert law.relative_error < 1e-6
    assert law.parameters["gamma"] == pytest.approx(gamma, rel=1e-5)
    assert law.parameters["sigma"] == pytest.approx(sigma, abs=1e-5)
    assert law.parameters["kappa"] == pytest.approx(kappa, abs=1e-5)


def test_errors_of_parameters_cover_the_truth_as_often_as_they_say():
    rng, inside = np.random.default_rng(0), []
    for _ in range(400):
        rate = scaled(100, 0.05, 0.001) * np.exp(0.05 * rng.normal(size=len(COPIES)))
        law = scalability_law(COPIES, rate)
        inside.append(abs(law.parameters["sigma"] - 0.05) < 2 * law.errors["sigma"])
    assert np.mean(inside) > 0.85


def test_nothing_comes_out_below_nothing():
    law = scalability_law(COPIES, COPIES**1.1)

    assert law.parameters["sigma"] == law.parameters["kappa"] == 0
    assert law.relative_error > 0.1


@given(st.floats(1e-6, 1e6), st.floats(-1, 3))
def test_a_power_law_is_found(a, b):
    law = power_law(COPIES, a * COPIES**-b)

    assert law.parameters["a"] == pytest.approx(a, rel=1e-5)
    assert law.parameters["b"] == pytest.approx(b, abs=1e-6)
    assert law.relative_error < 1e-6


def test_what_follows_no_power_law_is_said_to_fit_badly():
    assert power_law(COPIES, np.exp(-COPIES / 20)).relative_error > 0.5


@pytest.mark.parametrize("fit", [scalability_law, power_law])
@pytest.mark.parametrize(
    ("copies", "values"), [([1, 2], [1, 2]), ([1, 2, 4, 8], [1, 2, 0, 1]), ([0, 1, 2, 4], [1] * 4), ([1, 2, 3, 4], [1])]
)
def test_too_few_or_impossible_points_are_refused(fit, copies, values):
    with pytest.raises(InvalidArgument, match="law"):
        fit(copies, values)
