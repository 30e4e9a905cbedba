"""What one would otherwise run: figures that a bench of peers wrote, in the same run on the same machine."""

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidArgument
from .spread import Spread


@dataclass(frozen=True)
class Peer:
    """One way to run the same copies. None where it was not measured; `note` says why, or what limits it."""

    name: str
    agents: int | None
    steps_per_second: Spread | None
    bytes_an_agent: float | None
    most_agents: int | None
    p50_ms: float | None
    note: str


def read(path: Path) -> list[Peer]:
    """The peers of a file; raise InvalidArgument when it is none of that kind."""
    try:
        return [_peer(row) for row in json.loads(path.read_text())["rows"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidArgument(f"{path} is no table of peers: {error!r}; bench/bench_peers.py writes one") from error


def _peer(row: dict[str, object]) -> Peer:
    pace = row["steps_per_second"]
    assert isinstance(pace, dict | None)
    spread = Spread.of(list(pace["samples"])) if pace else None
    return Peer(**{**row, "steps_per_second": spread})  # type: ignore[arg-type]
