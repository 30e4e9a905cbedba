"""The pages whose tables are made of results."""

import pytest
from plures_students.identify.misfit import FEATURES

HINT = "run `python bench/pages.py`"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_tables_say_what_was_measured(pages, place):
    text = pages.PAGES[place].read_text()
    assert text.count("<!-- end -->") >= 1
    assert pages.filled(text) == text, HINT


def test_the_page_tells_how_many_features_there_are(pages):
    assert f"whether {FEATURES} features" in (pages.DOCS / "identify.md").read_text().replace("\n", " ")


def test_a_table_is_replaced_between_its_marks(pages, monkeypatch):
    monkeypatch.setitem(pages.TABLES, "x", lambda: pages.table(["a", "b"], [("1", "2")]))
    assert pages.filled("p\n<!-- x -->\nold\n<!-- end -->\nq") == (
        "p\n<!-- x -->\n\n| a | b |\n| --- | ---: |\n| 1 | 2 |\n\n<!-- end -->\nq"
    )


@pytest.mark.parametrize(
    ("rewards", "left"), [([1.0, 1.0, 1.0], None), ([1.0, 1.0, 2.0], 20), ([0.0, 0.0, 0.0], 0), ([2.0, 1.0, 1.0], None)]
)
def test_a_student_leaves_where_it_stays_outside_the_band(past_horizon_report, rewards, left):
    teacher = {"until": [10, 20, 30], "reward": {"mean": [1.0] * 3, "standard_error": [0.1] * 3}}
    assert past_horizon_report.left_at(teacher, {"copies_reward": {"mean": rewards}}) == left


def test_the_band_is_that_of_a_difference_of_two_means(past_horizon_report):
    low, high = past_horizon_report.band({"mean": [1.0], "standard_error": [0.1]})
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * 0.1 * 2**0.5)
