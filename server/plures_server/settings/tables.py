"""All settings of a server, with their defaults. docs/configuration.md is made of this."""

from dataclasses import dataclass, field
from pathlib import Path

import click

from .setting import setting


@dataclass(frozen=True)
class ListenSettings:
    """Where calls are taken."""

    host: str = setting("127.0.0.1", "Address to listen on. One that others can reach takes TLS, or the next setting.")
    insecure_bind: bool = setting(False, "Allow such an address although calls are not encrypted.")
    port: int = setting(50051, "0 takes a free one; it is printed.", click.IntRange(0, 65535))


@dataclass(frozen=True)
class PoolSettings:
    """How many agents, and where their states lie."""

    max_agents: int = setting(1 << 20, "Agents alive at most.", click.IntRange(1, 1 << 29))
    memory_gb: float | None = setting(
        None, "States on the device. Left out: half of the machine's memory.", click.FloatRange(0, min_open=True)
    )
    host_gb: float = setting(0.0, "States beside the device's, in this machine's memory.", click.FloatRange(0))
    disk_gb: float = setting(0.0, "States beside those, in a file.", click.FloatRange(0))
    tier_dir: Path | None = setting(None, "Folder of that file. Left out: `tier`, below the data folder.")


@dataclass(frozen=True)
class QueueSettings:
    """Where queues are kept."""

    redis_url: str | None = setting(None, "Redis ≥ 6.2 or Valkey. Left out: a Valkey of the server's own.")


@dataclass(frozen=True)
class DurableSettings:
    """What of cohorts outlives the server, and when it is written."""

    checkpoint_mb: int = setting(64, "Log of a cohort that makes a new checkpoint due.", click.IntRange(1))
    checkpoint_steps: int = setting(100_000_000, "Logged agent-steps that make one due.", click.IntRange(1))
    set_aside: tuple[str, ...] = setting((), "Journals whose cohorts are left out at this start; their files are kept.")


@dataclass(frozen=True)
class EngineSettings:
    """How much waits."""

    max_waiting: int = setting(4096, "Requests that wait before more are refused.", click.IntRange(1))


@dataclass(frozen=True)
class Settings:
    """Everything a server is told at its start."""

    students: Path = setting(None, "Folder of checkpoints, one a student. There is no default.")
    data: Path = setting(Path("plures-data"), "Folder of snapshots, logs and queues.")
    device: str | None = setting(None, "cpu, cuda or cuda:N. Left out: cuda if there is one.")
    listen: ListenSettings = field(default_factory=ListenSettings)
    pool: PoolSettings = field(default_factory=PoolSettings)
    queues: QueueSettings = field(default_factory=QueueSettings)
    durable: DurableSettings = field(default_factory=DurableSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
