"""Peers that are not run here: those that another bench measures, and those whose limits are documented."""

import json
from pathlib import Path
from typing import Any

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
        return [{"name": "vLLM", "note": "not run: bench/bench_vllm.py measures it where vLLM is installed"}]
    return [_vllm_row(row) for row in json.loads(path.read_text())["rows"] if "steps_per_second" in row]


def _vllm_row(row: dict[str, Any]) -> dict[str, Any]:
    known = {name: row.get(name) for name in ("agents", "steps_per_second", "bytes_an_agent", "most_agents", "p50_ms")}
    return {"name": f"vLLM, {row['what']}", **known, "note": row.get("note", "")}
