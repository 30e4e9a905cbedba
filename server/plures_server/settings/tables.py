"""All settings of a server, with their defaults. docs/configuration.md is made of this."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from ..telemetry.logs import FORMATS, LEVELS
from .setting import setting


@dataclass(frozen=True)
class ListenSettings:
    """Where calls are taken."""

    host: str = setting("127.0.0.1", "Address to listen on. One that others can reach takes TLS, or the next setting.")
    insecure_bind: bool = setting(False, "Allow such an address although calls are not encrypted.")
    port: int = setting(50051, "0 takes a free one; it is printed.", click.IntRange(0, 65535))


@dataclass(frozen=True)
class TlsSettings:
    """Encryption, from PEM files. They may be replaced while the server runs: new connections see the new ones."""

    certificate: Path | None = setting(None, "The server's certificate chain.", flag="tls-certificate")
    key: Path | None = setting(None, "Its private key.", flag="tls-key")
    client_ca: Path | None = setting(
        None, "Only clients with a certificate of this authority are let in (mTLS).", flag="tls-client-ca"
    )


@dataclass(frozen=True)
class AccessSettings:
    """Who may call. `plures-server token` makes the file; it is read again when it changes."""

    tokens: Path | None = setting(None, "File of tokens: from then on every call needs one, which says whose it is.")
    max_rpcs: int = setting(10_000, "Calls under way at the same time, over all callers.", click.IntRange(1))


@dataclass(frozen=True)
class QuotaSettings:
    """What each tenant may have. `[tenants.NAME]` has the same keys, for one tenant; what it leaves out is as here."""

    agents: int | None = setting(None, "Agents alive.", click.IntRange(0), flag="")
    state_gb: float | None = setting(None, "States, one for each agent alive.", click.FloatRange(0), flag="")
    snapshot_gb: float | None = setting(None, "Snapshots on the disk.", click.FloatRange(0), flag="")
    streams: int | None = setting(None, "Calls under way at the same time.", click.IntRange(0), flag="")
    requests_per_second: float | None = setting(
        None, "Calls, and messages on streams of requests.", click.FloatRange(0, min_open=True), flag=""
    )
    burst_seconds: float = setting(
        1.0, "For so many seconds' worth of them nobody waits.", click.FloatRange(0), flag=""
    )


@dataclass(frozen=True)
class PoolSettings:
    """How many agents, and where their states lie."""

    max_agents: int = setting(1 << 20, "Agents alive at most.", click.IntRange(1, 1 << 29))
    memory_gb: float | None = setting(
        None,
        "States on the device. Left out: half of a GPU's free memory, or of the machine's or container's.",
        click.FloatRange(0, min_open=True),
    )
    host_gb: float = setting(0.0, "States beside the device's, in this machine's memory.", click.FloatRange(0))
    disk_gb: float = setting(0.0, "States beside those, in a file.", click.FloatRange(0))
    tier_dir: Path | None = setting(None, "Folder of that file. Left out: `tier`, below the data folder.")


@dataclass(frozen=True)
class QueueSettings:
    """Where queues are kept, and the bounds of each. Servers that share a store should be told the same."""

    redis_url: str | None = setting(None, "Redis ≥ 7 or Valkey. Left out: a Valkey of the server's own.")
    max_items: int = setting(
        10_000_000, "Items that wait or are being done.", click.IntRange(1), flag="queue-max-items"
    )
    max_results: int = setting(
        1_000_000,
        "Results kept, by up to 256 items each, until they are forgotten; beyond, a queue takes no items.",
        click.IntRange(1),
        flag="queue-max-results",
    )
    max_attempts: int = setting(
        5, "Times that an item is begun before it is given up.", click.IntRange(1), flag="queue-max-attempts"
    )
    max_dead: int = setting(
        10_000, "Lots of items given up that are kept; older ones go.", click.IntRange(1), flag="queue-max-dead"
    )
    max_children: int = setting(1_024, "Items that an item may ask for.", click.IntRange(0), flag="queue-max-children")
    max_depth: int = setting(
        16, "Items that ask for one another in a chain.", click.IntRange(0, 1_000), flag="queue-max-depth"
    )
    results_kept_days: float = setting(
        7.0,
        "Then results are dropped, whether or not they were read.",
        click.FloatRange(0, 3_650, min_open=True),
        flag="queue-results-kept-days",
    )
    idle_days: float = setting(
        30.0,
        "A queue that nobody uses for so long is gone.",
        click.FloatRange(0.01, 3_650),
        flag="queue-idle-days",
    )


@dataclass(frozen=True)
class DurableSettings:
    """What of cohorts outlives the server, and when it is written."""

    checkpoint_mb: int = setting(64, "Log of a cohort that makes a new checkpoint due.", click.IntRange(1))
    checkpoint_steps: int = setting(100_000_000, "Logged agent-steps that make one due.", click.IntRange(1))
    set_aside: tuple[str, ...] = setting((), "Journals whose cohorts are left out at this start; their files are kept.")


@dataclass(frozen=True)
class EngineSettings:
    """Who steps agents, and how much waits."""

    kind: str = setting(
        "plures",
        "This server, or a vLLM that it starts: then agents are copies of one language model.",
        click.Choice(["plures", "vllm"]),
        "engine",
    )
    model: str | None = setting(
        None, "For vLLM: a checkpoint of text, or any attention-free model of Hugging Face's, by folder or name."
    )
    vllm: str | None = setting(None, "More arguments of vLLM's engine, as a JSON object.")
    max_waiting: int = setting(4096, "Requests that wait before more are refused.", click.IntRange(1))
    linger_us: int = setting(
        500,
        "Microseconds that a wave waits, at most, for as many requests as the last had.",
        click.IntRange(0, 100_000),
    )


@dataclass(frozen=True)
class TaskSettings:
    """What agents can be run on beside the server's own tasks, and those of installed plugins."""

    gymnasium: tuple[str, ...] = setting((), "Environments of gymnasium, by id: CartPole-v1 is gymnasium:CartPole-v1.")


@dataclass(frozen=True)
class LogSettings:
    """What is said on standard error."""

    format: str = setting("human", "For people, or an object a line.", click.Choice(FORMATS), "log-format")
    level: str = setting("info", "The least that is said.", click.Choice(LEVELS), "log-level")
    calls: bool = setting(False, "A line for every call that ended.", flag="log-calls")


@dataclass(frozen=True)
class MetricsSettings:
    """Metrics for Prometheus, in the open and for whoever reaches the port: docs/operations.md lists them."""

    host: str = setting("127.0.0.1", "Address to tell them at.", flag="metrics-host")
    port: int | None = setting(
        None, "0 takes a free one; it is logged. Left out: they are not told.", click.IntRange(0, 65535), "metrics-port"
    )


@dataclass(frozen=True)
class TracingSettings:
    """Traces for OpenTelemetry; they take `pip install 'plures[tracing]'`."""

    endpoint: str | None = setting(
        None, "Collector to send them to, by OTLP over HTTP: http://127.0.0.1:4318/v1/traces.", flag="tracing-endpoint"
    )
    ratio: float = setting(
        1.0, "Share of calls traced, of clients that do not say.", click.FloatRange(0, 1), "tracing-ratio"
    )


@dataclass(frozen=True)
class ShutdownSettings:
    """How a server ends on SIGTERM or SIGINT."""

    drain_seconds: float = setting(5.0, "For so long what is under way may go on.", click.FloatRange(0))


@dataclass(frozen=True)
class Settings:
    """Everything a server is told at its start."""

    students: Path = setting(None, "Folder of checkpoints, one a student. There is no default; vLLM takes none.")
    data: Path = setting(Path("plures-data"), "Folder of snapshots, logs and queues.")
    device: str | None = setting(None, "cpu, cuda or cuda:N. Left out: cuda if there is one.")
    listen: ListenSettings = field(default_factory=ListenSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    quota: QuotaSettings = field(default_factory=QuotaSettings)
    tenants: Mapping[str, QuotaSettings] = field(default_factory=dict)
    pool: PoolSettings = field(default_factory=PoolSettings)
    queues: QueueSettings = field(default_factory=QueueSettings)
    tasks: TaskSettings = field(default_factory=TaskSettings)
    durable: DurableSettings = field(default_factory=DurableSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    log: LogSettings = field(default_factory=LogSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    tracing: TracingSettings = field(default_factory=TracingSettings)
    shutdown: ShutdownSettings = field(default_factory=ShutdownSettings)
