"""The GPU bench on a machine without a GPU."""

import json
import subprocess
import sys

import pytest
import torch
from plures_kernels import RULES

from .conftest import BENCH

if sys.platform != "linux":
    pytest.skip("Triton exists for Linux only", allow_module_level=True)


def bench(*arguments):
    command = [sys.executable, str(BENCH / "bench_gpu.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_everything_runs_in_the_interpreter_and_claims_no_figures(tmp_path):
    run = bench("--interpret", "--json", tmp_path / "gpu.json")
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads((tmp_path / "gpu.json").read_text())
    ours = {row["rule"] for row in report["rows"] if row["contestant"] == "plures"}
    assert ours == {name for name, rule in RULES.items() if "triton" in rule.steps}
    assert {"fla", "plures replay, 8 factors"} < {row["contestant"] for row in report["rows"]}
    figures = {row[name] for row in report["rows"] for name in ("predicted_us", "us", "graph_us", "share")}
    assert figures == {None}
    assert [(tick["page_bytes"], tick["agents"], tick["tile"]) for tick in report["ticks"]] == [
        (2**12, 3, 2),
        (2**12, 3, 8),
    ]
    assert {tick[name] for tick in report["ticks"] for name in ("predicted_us", "us", "graph_us")} == {None}
    assert all("vllm" in reason for reason in report["skipped"] if reason.startswith("vLLM"))


def test_predictions_are_marked_as_such(tmp_path):
    run = bench("--predicted", "--json", tmp_path / "gpu.json")
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert "PREDICTED" in run.stdout
    assert report["title"].startswith("PREDICTED")
    assert all("PREDICTED" in row["contestant"] and row["us"] is None for row in report["rows"])
    row = next(row for row in report["rows"] if (row["page_bytes"], row["agents"]) == (2**12, 10**6))
    assert row["predicted_us"] == row["bytes"] / 4.3e12 * 1e6
    million = {tick["page_bytes"]: tick for tick in report["ticks"] if tick["agents"] == 10**6}
    assert million[2**12]["predicted_us"] == pytest.approx(10**6 * (2 * 2**12 + 96) / 4.3e12 * 1e6)
    assert million[2**16]["predicted_us"] > 10 * million[2**12]["predicted_us"]
    assert all(tick["us"] is None and tick["ticks_per_second"] is None for tick in report["ticks"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so_in_one_line_and_fails():
    run = bench()
    assert run.returncode != 0
    assert run.stdout == ""
    assert run.stderr.splitlines() == [
        "Error: no CUDA device here; `python bench/bench_gpu.py --interpret` shows that it works"
    ]
