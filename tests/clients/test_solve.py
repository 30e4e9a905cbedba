"""`plures solve`: each problem by each strategy at equal cost, and comparisons that can be checked."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from plures_client.cli import main
from plures_client.commands.solve import PROBLEMS
from plures_client.coordinators import generations, workshop
from plures_client.errors import InvalidArgument
from plures_client.solving import CASES, Budget, Comparison, Trial, compare
from plures_client.solving.compare import attempt
from plures_client.solving.report import document, laws, read

CROWDS = {
    "maze": "walker",
    "simplex": "optimiser",
    "bandit": "gambler",
    "branches": "gambler",
    "restless-bandit": "gambler",
}
SMALL = {
    "best-arm": {"arms": "8"},
    "branches": {"levels": "3", "visits": "4"},
    "exploration": {"rows": "2", "columns": "2", "visits": "4"},
    "goal-search": {"rows": "2", "columns": "2", "attempts": "2"},
    "minimise": {"rounds": "2"},
    "portfolio": {"rounds": "2", "sources": "9"},
}
WAYS = [(problem, way) for problem, case in CASES.items() for way in case.ways]


@pytest.fixture
def spent(monkeypatch):
    """Steps of all items that were put on queues or into runs."""
    steps, submit, follow, run = [], workshop.Workshop.submit, workshop.Workshop.follow, generations._run

    async def submitted(self, items):
        steps.append(items.total_steps)
        return await submit(self, items)

    async def followed(self, label, items):
        family = await follow(self, label, items)
        steps.append(family.size * int(items.steps[0]))
        return family

    async def ran(living, ordinals, items, *rest):
        steps.append(items.total_steps)
        return await run(living, ordinals, items, *rest)

    monkeypatch.setattr(workshop.Workshop, "submit", submitted)
    monkeypatch.setattr(workshop.Workshop, "follow", followed)
    monkeypatch.setattr(generations, "_run", ran)
    return steps


@pytest.mark.parametrize(("problem", "way"), WAYS)
def test_every_way_costs_what_it_says_and_no_more_than_all(crowds, spent, problem, way):
    budget = Budget(copies=8, steps=48, seed=3)
    trial = attempt(crowds[CROWDS[CASES[problem].task]], problem, way, budget, SMALL[problem])

    assert trial.is_right
    assert np.isfinite(trial.quality)
    assert trial.seconds > 0
    # A tree that ends early, or finds no doors, or is sure, spends less; and what does not divide is left over.
    assert 0 < sum(spent) <= trial.steps <= budget.total
    if problem not in ("branches", "exploration"):
        assert sum(spent) == trial.steps
        assert way == "apart" or trial.steps >= 0.9 * budget.total


def test_the_command_knows_all_problems():
    assert tuple(sorted(CASES)) == PROBLEMS


def test_one_copy_and_many_that_do_not_talk_find_the_same(crowds):
    """Copies that start alike and share nothing buy time, and nothing else."""
    budget = Budget(copies=6, steps=40)
    one, many = (attempt(crowds["optimiser"], "minimise", way, budget, {}) for way in ("restarts", "apart"))

    assert one.quality == many.quality


def trials(way, qualities, copies=4):
    return [Trial(way, copies, seed, quality, True, 1.0 + seed, 100) for seed, quality in enumerate(qualities)]


def test_gains_are_paired_by_seed():
    made = [*trials("one", [1.0, 2.0, 3.0]), *trials("many", [1.5, 2.5, 3.5])]
    one, many = Comparison("minimise", "u", 4, 25, {}, tuple(made)).standings()

    assert (one.gain, one.gain_error) == (0, 0)
    assert many.gain == pytest.approx(0.5)
    assert many.gain_error == pytest.approx(0)
    assert many.quality_error == pytest.approx(1 / 3**0.5)
    assert (many.right, many.trials) == (3, 3)


def test_a_document_tells_all_of_a_comparison():
    swept = [trial for n in (1, 2, 4, 8) for trial in trials("apart", [np.log10(n)] * 2, copies=n)]
    comparison = Comparison("minimise", "u", 4, 25, {"dimension": "3"}, tuple(trials("one", [1.0, 2.0])), tuple(swept))
    told = json.loads(json.dumps(document(comparison)))

    assert read(told) == comparison
    assert told["laws"]["regret"]["parameters"]["b"] == pytest.approx(1)
    assert set(laws(comparison)) == {"throughput", "regret"}


@pytest.fixture
def plures(crowds):
    [address] = {cohort._cohort._wire.address for cohort in crowds.values()}
    return lambda *words: CliRunner().invoke(main, ["--server", address, "solve", *map(str, words)])


def test_a_problem_is_solved_from_the_command_line(plures, crowds, tmp_path):
    done = plures("minimise", "--cohort", crowds["optimiser"].name, "--copies", 5, "--steps", 24, "--set", "rounds=3")
    assert done.exit_code == 0, done.output
    assert "pool: " in done.stdout
    assert "checked; 120 steps" in done.stdout

    words = "minimise", "--cohort", crowds["optimiser"].name, "--copies", 5, "--steps", 24, "--strategy", "apart"
    done = plures(*words, "--manifest", tmp_path / "m.json", "--json")
    told = json.loads(done.stdout)
    assert (told["strategy"], told["is_right"], told["answer"]["starts"]) == ("apart", True, 5)
    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize(
    ("problem", "settings"),
    [
        ("best-arm", {"arms": "-1"}),
        ("best-arm", {"arms": "0"}),
        ("branches", {"visits": "0"}),
        ("branches", {"levels": "0"}),
        ("exploration", {"visits": "0"}),
        ("goal-search", {"rows": "0"}),
        ("minimise", {"rounds": "0"}),
        ("portfolio", {"rounds": "0"}),
        ("portfolio", {"sources": "0"}),
    ],
)
def test_problems_that_are_none_are_refused_whoever_is_to_solve_them(problem, settings):
    for way in list(CASES[problem].ways)[-2:]:
        with pytest.raises(InvalidArgument):
            CASES[problem].plan(way, Budget(4, 40), settings)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--sweep",), "--sweep is for --compare"),
        (("--picture", "p.png"), "--picture is for --compare"),
        (("--compare", "--strategy", "pool"), "--strategy is for one solution, not for --compare"),
        (("--compare", "--manifest", "m.json"), "--manifest is for one solution, not for --compare"),
        (("--compare", "--picture", "nowhere/p.png"), "there is no folder nowhere"),
        (("--compare", "--picture", "p.xyz"), "p.xyz is no picture; its name ends with one of ."),
        (("--manifest", "nowhere/m.json"), "there is no folder nowhere"),
    ],
)
def test_options_that_would_not_be_heeded_are_refused(plures, crowds, spent, words, complaint):
    done = plures("minimise", "--cohort", crowds["optimiser"].name, "--copies", 6, "--steps", 48, *words)
    assert done.exit_code == 2
    assert complaint in done.stderr
    assert not spent


def test_a_sweep_that_would_fail_at_some_size_fails_before_anything_is_solved(plures, crowds, spent):
    words = "branches", "--cohort", crowds["gambler"].name, "--copies", 8, "--steps", 48, "--set", "visits=4"
    done = plures(*words, "--compare", "--sweep", "--seeds", 2)
    assert done.exit_code == 1
    assert "48 steps do not go into 60 parts" in done.output
    assert not spent


def test_a_comparison_is_printed_and_drawn(plures, crowds, tmp_path):
    words = "best-arm", "--cohort", crowds["gambler"].name, "--copies", 4, "--steps", 40, "--set", "arms=6"
    done = plures(*words, "--compare", "--seeds", 2, "--picture", tmp_path / "p.png")
    assert done.exit_code == 0, done.output
    assert all(way in done.stdout for way in ("one", "apart", "halving"))
    assert (tmp_path / "p.png").stat().st_size > 1000

    told = json.loads(plures(*words, "--compare", "--sweep", "--seeds", 2, "--json").stdout)
    assert [standing["way"] for standing in told["standings"]] == ["one", "apart", "halving"]
    assert {trial["copies"] for trial in told["swept"]} == {1, 2, 4}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--strategy", "prayer"), "no strategy 'prayer' for this problem; it has one, restarts"),
        (("--set", "colour=red"), "no setting 'colour'; it has function=sphere"),
        (("--set", "dimension=many"), "dimension 'many' is not of type int"),
        (("--set", "function=parabola"), "no function 'parabola'"),
        (("--set", "dimension"), "not of the form NAME=VALUE"),
        (("--steps", "1"), "48 parts"),
        (("--set", "rounds=0"), "do not go into 0 parts"),
        (("--set", "dimension=-1"), "dimension -1 given; it is at least 0"),
        (("--copies", "101", "--strategy", "pool"), "101 items for 100 copies"),
    ],
)
def test_what_cannot_be_solved_so_is_told(plures, crowds, words, complaint):
    options = {"--copies": 6, "--steps": 40, **dict(zip(words[::2], words[1::2], strict=True))}
    done = plures(
        "minimise", "--cohort", crowds["optimiser"].name, *[word for pair in options.items() for word in pair]
    )

    assert done.exit_code != 0
    assert complaint in done.stderr


@pytest.mark.parametrize("budget", [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_a_budget_is_something(budget):
    with pytest.raises(InvalidArgument, match="is none"):
        Budget(*budget)


def test_a_comparison_of_one_seed_has_no_error_bars(crowds):
    with pytest.raises(InvalidArgument, match="at least two"):
        compare(crowds["optimiser"], "minimise", Budget(2, 9), seeds=1, settings={}, on_trial=lambda *_: None)
