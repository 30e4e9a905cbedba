"""Every metric there is: name, kind, labels, meaning. docs/operations.md lists them; tests see each one move."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """`kind`: counter, gauge or histogram. Counters' samples end in `_total`."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


METRICS = (
    Metric("plures_calls", "counter", ("method", "code"), "Calls that ended, by their gRPC status."),
    Metric("plures_call_seconds", "histogram", ("method",), "How long calls took; of streams, to their end."),
    Metric("plures_calls_under_way", "gauge", ("method",), "Calls that have begun and not ended."),
    Metric(
        "plures_errors", "counter", ("code", "reason"), "Refusals and failures, of calls and of messages in streams."
    ),
    Metric("plures_agents", "gauge", (), "Agents alive."),
    Metric("plures_agents_most", "gauge", (), "Agents that can be alive (`--max-agents`)."),
    Metric("plures_cohorts", "gauge", (), "Cohorts alive."),
    Metric("plures_tier_states", "gauge", ("tier",), "States that lie in a tier: device, host or disk."),
    Metric("plures_tier_bytes", "gauge", ("tier",), "Bytes of states that lie in a tier."),
    Metric("plures_tier_bytes_most", "gauge", ("tier",), "Bytes of states that a tier can hold."),
    Metric("plures_requests_waiting", "gauge", (), "Requests that the engine has not begun."),
    Metric(
        "plures_tick_seconds",
        "histogram",
        ("kind",),
        "How long one step of many took: a wave of acts, a tick of a run.",
    ),
    Metric("plures_agent_steps", "counter", ("kind",), "Steps of agents, in acts and in runs."),
    Metric(
        "plures_tile_rows",
        "counter",
        ("kind",),
        "Rows stepped, padding among them: agent steps by rows is how full waves are.",
    ),
    Metric("plures_state_bytes", "counter", ("kind",), "Bytes of states read and written by steps."),
    Metric(
        "plures_memory_bandwidth_bytes",
        "gauge",
        (),
        "Bytes a second that the device's memory gives, read and written, measured at the start.",
    ),
    Metric("plures_queues", "gauge", (), "Queues there are."),
    Metric("plures_queue_items", "gauge", ("state",), "Items over all queues: ready, leased, done or dead."),
    Metric(
        "plures_queue_lease_age_seconds",
        "gauge",
        (),
        "Since the lease that was renewed longest ago was; beyond 30, its holder is gone.",
    ),
    Metric("plures_journals_closed", "gauge", (), "Families of durable cohorts whose log cannot be written now."),
)

BY_NAME = {metric.name: metric for metric in METRICS}
