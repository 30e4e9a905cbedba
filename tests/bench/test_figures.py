"""Figures in README and docs agree with the JSON they came from, and pages name the command that makes it."""

import json
from pathlib import Path

import pytest

from .conftest import bench_script

figures = bench_script("figures")


def test_every_figure_is_what_its_file_says(figures):
    found = [figure for page in figures.pages() for figure in figures.figures_of(page)]
    assert found, "no page links a figure"
    wrong = [(figure.page.name, figure.value, figure.said, figure.told()) for figure in found]
    assert [row for row in wrong if row[2] != row[3]] == [], "`python bench/figures.py --write` writes them anew"


def test_a_page_with_figures_names_the_commands_that_made_them(figures):
    for page in figures.pages():
        for file in {figure.file for figure in figures.figures_of(page)}:
            command = json.loads(file.read_text()).get("command")
            assert command is None or command in page.read_text(), f"{page.name} links {file.name}, made by `{command}`"


def test_a_file_that_figures_come_from_says_where_and_of_what_it_is(figures):
    for path in {figure.file for page in figures.pages() for figure in figures.figures_of(page)}:
        assert {"part", "machine", "commit", "measured"} <= json.loads(path.read_text()).keys(), path.name


def page_of(tmp_path: Path, text: str) -> Path:
    rows = [{"name": "a", "size": 1, "x": 1234.5}, {"name": "a, b", "size": 2, "x": 0.256}]
    (tmp_path / "r.json").write_text(json.dumps({"rows": rows, "best": {"y": 1.5e6}}))
    (tmp_path / "page.md").write_text(text)
    return tmp_path / "page.md"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("rows[0].x as count", "1,234"), ("rows[name=a, b,size=2].x as share", "26%"), ("best.y as M", "1.50 million"),
        ("rows[-1].x as .2f", "0.26"), ("rows[0].x as times", "1,234×"), ("rows[0].name as text", "a"),
    ],
)  # fmt: skip
def test_a_figure_is_looked_up_and_written_as_its_link_says(figures, tmp_path, value, told):
    page = page_of(tmp_path, f'It is [7](r.json "{value}"), [a link](r.json) and [text](other.md).')
    [figure] = figures.figures_of(page)
    assert (figure.said, figure.told()) == ("7", told)
    assert figures.rewritten(page) == page.read_text().replace("[7]", f"[{told}]")


@pytest.mark.parametrize("value", ["rows[3].x", "rows[name=c].x", "nothing", "best.y.z"])
def test_a_figure_that_its_file_does_not_have_is_an_error(figures, tmp_path, value):
    [figure] = figures.figures_of(page_of(tmp_path, f'[7](r.json "{value} as count")'))
    with pytest.raises(figures.click.ClickException, match=r"is not in r\.json"):
        figure.told()
