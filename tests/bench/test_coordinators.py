"""The page on coordinators has the figures that were measured, and says of them what they say."""

import json
from pathlib import Path

import pytest
from plures_client.solving.report import document, read

HOME = Path(__file__).parents[2]
ROWS = {row["name"]: row for row in json.loads((HOME / "bench/results/coordinators.json").read_text())["rows"]}


@pytest.mark.parametrize("problem", sorted(ROWS))
def test_the_page_has_the_measured_figures(coordinators_table, problem):
    page = (HOME / "docs/coordinators.md").read_text()
    for line in coordinators_table.tables()[problem]:
        assert line in page


@pytest.mark.parametrize("problem", sorted(ROWS))
def test_summaries_follow_from_the_trials(problem):
    row = ROWS[problem]
    again = document(read(row))

    assert again["standings"] == [pytest.approx(standing) for standing in row["standings"]]
    assert again["laws"].keys() == row["laws"].keys()
    assert all(standing["trials"] >= 10 for standing in row["standings"])
    assert all(standing["right"] == standing["trials"] for standing in row["standings"]), "all answers were checked"


@pytest.mark.parametrize("problem", sorted(ROWS))
def test_all_strategies_cost_about_the_same(problem):
    steps = [standing["steps"] for standing in ROWS[problem]["standings"] if standing["way"] != "apart"]

    assert min(steps) >= 0.9 * max(steps)
