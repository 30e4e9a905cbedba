"""`plures bench`: the law, the ratio of two runs, and a whole run at toy size against a real server."""

import json
import re
from itertools import product

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from plures_client import Client
from plures_client.bench import compare, machine, power
from plures_client.bench.law import fit
from plures_client.cli import main
from plures_client.errors import InvalidArgument

COPIES = [1, 2, 4, 16, 64, 256]


@given(
    pace=st.floats(0.1, 1e4),
    sigma=st.one_of(st.just(0.0), st.floats(1e-4, 0.5)),
    kappa=st.one_of(st.just(0.0), st.floats(1e-7, 1e-2)),
)
def test_a_law_is_found_again_in_what_follows_it(pace, sigma, kappa):
    n = np.array(COPIES, np.float64)
    law = fit(COPIES, list(pace * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))))

    np.testing.assert_allclose([law.pace, law.sigma, law.kappa], [pace, sigma, kappa], rtol=1e-3, atol=1e-8)
    assert law.error < 1e-6


def test_a_law_has_its_peak_where_more_workers_do_less():
    n = np.arange(1, 200, dtype=np.float64)
    law = fit(COPIES, [c / (1 + 0.02 * (c - 1) + 1e-4 * c * (c - 1)) for c in COPIES])
    assert law.peak == pytest.approx(n[np.argmax(law.throughput(n))], abs=1)


def test_no_coefficient_of_a_law_is_below_zero():
    law = fit(COPIES, [c**1.2 for c in COPIES])
    assert (law.sigma, law.kappa, law.peak) == (0, 0, None)
    assert law.error > 0.1


def test_a_law_is_not_fitted_to_two_points():
    with pytest.raises(InvalidArgument, match="2 numbers of copies"):
        fit([1, 2], [1.0, 2.0])


def test_an_interval_has_the_confidence_that_all_orders_of_two_samples_give():
    """By brute force: of all ways to interleave 5 and 5 numbers, in how many the interval misses the ratio 1."""
    missed = of_all = 0
    for order in product([False, True], repeat=10):
        if sum(order) == 5:
            ranks = np.arange(1.0, 11.0)
            found = compare.ratio("x", ranks[np.array(order)].tolist(), ranks[~np.array(order)].tolist())
            missed += not found.low <= 1 <= found.high
            of_all += 1
    assert found.confidence == pytest.approx(1 - missed / of_all)
    assert found.confidence > 0.95


def test_the_other_way_round_the_ratio_is_the_inverse():
    a, b = [1.0, 1.2, 1.1, 1.3, 1.05], [2.0, 2.4, 2.2, 2.1, 2.3]
    there, back = compare.ratio("x", a, b), compare.ratio("x", b, a)
    assert (there.ratio, there.low, there.high) == pytest.approx((1 / back.ratio, 1 / back.high, 1 / back.low))
    assert not there.noise


def test_what_three_repeats_say_is_called_noise():
    assert compare.ratio("x", [1.0, 1.1, 1.2], [5.0, 5.1, 5.2]).noise


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def measured(launch_server, tmp_path_factory):
    """A whole run of few copies, few repeats and little time."""
    folder = tmp_path_factory.mktemp("bench")
    peers, fidelity = folder / "peers.json", folder / "fidelity.json"
    row = {"name": "a loop", "agents": 10, "steps_per_second": {"samples": [5.0, 6.0]}, "bytes_an_agent": 4096.0}
    peers.write_text(json.dumps({"rows": [{**row, "most_agents": None, "p50_ms": 1.5, "note": "in Python"}]}))
    near = {"distance": 0.07, "halves": {"mean": 0.05}}
    fidelity.write_text(json.dumps({"measures": {"stay_by_reward": near}, "run_length": near}))
    small = launch_server("--max-agents", "1000")
    little = {
        "parallel.LEAST_ITEMS": 8,
        "parallel.STEPS": 2,
        "problems.COPIES": (4,),
        "problems.BUDGETS": (240,),
        "machine.BUFFER_FLOATS": 2**12,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in little.items():
            patch.setattr(f"plures_client.bench.{name}", value)
        done = run(
        "--server", small.address, "bench", "speedup", "bandit", "--most", 4, "--repeats", 2, "--seconds", 0.01,
        "--quality", 0.01, "--peers", peers, "--fidelity", fidelity,
        "--json", folder / "a.json", "--html", folder / "a.html",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr or done.exception
    with Client(small.address) as client:
        assert not client.cohorts.list(), "a bench leaves nothing behind"
    return folder, done.stdout


def test_a_run_tells_all_it_measured(measured):
    folder, shown = measured
    found = json.loads((folder / "a.json").read_text())
    assert [pace["agents"] for pace in found["serial"]["paces"]] == [1, 4]
    assert [len(pace["run"]["samples"]) for pace in found["serial"]["paces"]] == [2, 2]
    assert found["headline"]["speed_up_of_one"] == 0.37 / found["serial"]["paces"][0]["run"]["median"]
    assert found["serial"]["largest"]["agents"] == 1_000
    assert [each["copies"] for each in found["parallel"]["weak"]["shared"]] == [1, 2, 4]
    assert {each["problem"] for each in found["problems"]} == {"best-arm", "branches", "portfolio"}
    assert {(each["strategy"], each["copies"]) for each in found["problems"] if each["problem"] == "branches"} == {
        ("one", 1), ("alone", 1), ("asking", 4)
    }  # fmt: skip
    assert all(each["seconds"]["median"] > 0 for each in found["problems"] if each["seconds"])
    assert found["cost"]["machine"]["bytes_per_second"] > 0
    assert {"machine", "commit", "versions", "device", "measured", "student_digest"} <= found.keys()
    assert found["settings"]["seed"] == 1
    for words in ("teacher: 0.37 s", "a loop", "stay by reward", "best-arm", "steps up to which", "Gunther"):
        assert words in shown + (folder / "a.html").read_text()


def test_the_report_needs_no_other_file(measured):
    page = (measured[0] / "a.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "src=" in page
    # What is in the pictures is not read.
    assert "http" not in re.sub(r"base64,[^\"]+", "", page)


def test_a_run_beside_itself_is_noise(measured):
    path = measured[0] / "a.json"
    found = json.loads(run("bench", "compare", path, path, "--json").stdout)
    assert len(found["ratios"]) > 10
    assert all(each["noise"] and each["ratio"] == pytest.approx(1, rel=0.5) for each in found["ratios"])


def test_what_is_faster_and_slower_is_told(tmp_path):
    times = {"a": {"x": [2.0, 2.1, 2.2, 2.3, 2.4], "y": [1.0, 1.1, 1.2, 1.3, 1.4], "z": [1.0, 1.1, 1.2, 1.3, 1.4]}}
    times["b"] = {"x": [1.0, 1.1, 1.2, 1.3, 1.4], "y": [2.0, 2.1, 2.2, 2.3, 2.4], "z": [1.3, 1.0, 1.4, 1.2, 1.1]}
    for which, names in times.items():
        document = {"measurements": {name: {"samples": samples} for name, samples in names.items()}}
        (tmp_path / f"{which}.json").write_text(json.dumps(document))
    shown = run("bench", "compare", tmp_path / "a.json", tmp_path / "b.json").stdout.splitlines()
    assert [line.split()[-1] for line in shown[1:]] == ["faster", "slower", "noise"]


def test_files_of_something_else_are_refused(tmp_path):
    (tmp_path / "a.json").write_text("[]")
    done = run("bench", "compare", tmp_path / "a.json", tmp_path / "a.json")
    assert done.exit_code == 1
    assert "no repeated measurements" in done.stderr


def test_without_a_server_one_is_told_so():
    done = run("--server", "127.0.0.1:1", "bench", "speedup", "bandit")
    assert done.exit_code == 1
    assert "no Plures server answers" in done.stderr


def test_watts_are_read_from_the_counters_of_whole_packages(tmp_path):
    for name, joules in (("intel-rapl:0", 5), ("intel-rapl:0:0", 3), ("intel-rapl:1", 7)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(str(joules * 1_000_000))

    def work():
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text("9000000")

    watts = power.watts_of(work, "cpu", tmp_path)
    assert watts is not None
    assert watts > 4
    assert power.watts_of(lambda: None, "cpu", tmp_path / "nothing") is None


def test_rates_of_another_machine_are_not_guessed():
    assert machine.rates("10.0.0.7:50051", "cpu") is None
    assert machine.rates("127.0.0.1:50051", "cuda:0") is None
