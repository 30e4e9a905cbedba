"""Benches are scripts beside one another, not a package."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def bench_script(module: str) -> Any:
    """A fixture that is the script `bench/<module>.py`."""

    @pytest.fixture
    def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        monkeypatch.syspath_prepend(BENCH)
        return import_module(module)

    return script


roofline = bench_script("roofline")
counting = bench_script("counting")
pages = bench_script("pages")
past_horizon_report = bench_script("past_horizon_report")
coordinators_table = bench_script("coordinators_table")
