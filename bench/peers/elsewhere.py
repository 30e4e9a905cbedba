"""Peers that are not run here: those that another bench measures, and those whose limits are documented."""

import json
from pathlib import Path
from typing import Any

from plures_client.bench.spread import Spread

# docs.nvidia.com/deeplearning/triton-inference-server: user guide, "Implicit State Management" and "Architecture",
# and `ModelSequenceBatching` in model_config.proto.
ON_PAPER: tuple[dict[str, Any], ...] = (
    {
        "name": "NVIDIA Triton server",
        "note": "on paper: a sequence holds a batch slot (max_batch_size × instances) and loses it, with its state, "
        "when idle for max_sequence_idle_microseconds (1 s unless set); no forks, no snapshots of state",
    },
)


def vllm(path: Path) -> list[dict[str, Any]]:
    """The rows that `bench_vllm.py` wrote; one that says so when it was not run."""
    if not path.exists():
        return [{"name": "vLLM", "note": "not run: `make bench-vllm` measures it, and installs vLLM for that"}]
    return [_vllm_row(row) for row in json.loads(path.read_text())["rows"]]


def _vllm_row(row: dict[str, Any]) -> dict[str, Any]:
    note = f"a student of texts, {row['history']:,} tokens of history; python bench/bench_vllm.py"
    return {
        "name": f"vLLM: {row['who']}", "agents": row["agents"], "note": note,
        "steps_per_second": Spread.of([row["steps_per_second"]]), "p50_ms": 1e3 * row["seconds"],
    }  # fmt: skip
