"""The table of docs/queues.md is what bench/results/queue-cpu.json holds."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RATES = ("enqueue", "lease", "complete", "cycle", "stream", "docket")


@pytest.fixture
def rows() -> list[dict[str, float]]:
    report = json.loads((ROOT / "bench/results/queue-cpu.json").read_text())
    return [row for row in report["rows"] if row["fsync"] == "always"]


def test_each_row_is_as_it_was_measured(rows: list[dict[str, float]]) -> None:
    page = (ROOT / "docs/queues.md").read_text()
    for row in rows:
        cells = [f"{row['chunk_items']:,}", *(f"{row[rate]:,.0f}" for rate in RATES)]
        line = " | ".join([*cells, f"{row['cycle'] / row['docket']:.1f}"])
        assert f"| {line} |\n" in page


def test_single_chunks_take_what_is_said(rows: list[dict[str, float]]) -> None:
    alone = {row["chunk_items"]: row["alone_ms"] for row in rows}
    said = (
        f"takes {alone[1]:.1f} ms to be put, leased and completed in three calls; a chunk of 256, {alone[256]:.1f} ms"
    )
    assert said in (ROOT / "docs/queues.md").read_text()


def test_chunks_make_it_fast_enough_and_faster_than_tasks_one_by_one(rows: list[dict[str, float]]) -> None:
    """What the queue was built to reach: half a million items a second, ten times its peer of like guarantees."""
    [row] = [row for row in rows if row["chunk_items"] == 256]
    assert row["cycle"] >= 500_000
    assert row["cycle"] >= 10 * row["docket"]
