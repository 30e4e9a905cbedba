"""The demo, small: every chapter on real data, through the real programs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from plures_client.demo.command import demo


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "out"
    done = CliRunner().invoke(demo, ["--out", str(folder), "--minutes", "0.1", "--copies", "100"])
    assert done.exit_code == 0, done.output
    assert done.output.strip().splitlines()[-1].replace("\n", "").endswith("report.html")
    return folder


def test_the_report_is_one_page_with_its_pictures_inside(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page.replace("http://www.w3.org", "")


def test_every_figure_was_measured(out: Path) -> None:
    figures = json.loads((out / "figures.json").read_text())
    scores = {score["name"]: score["nll"] for score in figures["learned"]["scores"]}
    assert scores["student"] < scores["chance"]
    assert figures["crowd"]["copies"] == 100
    assert [each["answer"]["copies"] for each in figures["solved"]] == [1, 10, 100]
    pulls = [each["answer"]["pulls"] for each in figures["solved"]]
    assert pulls == [128, 1_280, 12_800]


def test_copies_lived_the_lengths_that_people_lived(out: Path) -> None:
    described = {name: json.loads((out / "lives" / name / "card.json").read_text()) for name in ("test", "copies")}
    assert described["test"] == described["copies"]
    fidelity = json.loads((out / "fidelity" / "fidelity.json").read_text())
    assert fidelity


def test_a_folder_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    refused = CliRunner().invoke(demo, ["--out", str(tmp_path)])
    assert refused.exit_code == 1
    assert "--force" in refused.output
