"""What each error says, and the way out: docs/errors.md, by `python -m plures_server.rpc.error_table`."""

from dataclasses import dataclass

from plures_kernels.errors import PluresError
from plures_students.errors import CheckpointError

from .. import errors
from .errors import CODES, RETRY_SECONDS, reason_of


@dataclass(frozen=True)
class Row:
    """`message` is one that the error has, with … for values; the cause is what its class says."""

    kind: type[PluresError]
    message: str
    way_out: str


_BY_KIND = {
    errors.InvalidArgument: ("… is not a resource name of the form …", "Send what the message asks for."),
    errors.UnknownStudent: ("no student … is loaded; loaded: …", "Take one that is loaded, or load it."),
    errors.UnknownCohort: (
        "no cohort … is alive; start it, or list the cohorts",
        "Start it; after a restart of the server, only durable cohorts come back.",
    ),
    errors.UnknownAgent: (
        "cohort … has ordinals … to …, not …",
        "Name agents that it has, and that are alive.",
    ),
    errors.UnknownTask: ("no task … is known; known: …", "Take one that is known, or install its plugin."),
    errors.UnknownSnapshot: ("no snapshot … in the server's snapshot folder", "List the snapshots."),
    errors.UnknownQueue: (
        "there is no queue …: it begins with its first item, and ends when it is deleted",
        "Put an item on it first.",
    ),
    errors.UnknownSubmission: (
        "queue … remembers no submission …: it was never made, or long before others; leave the id out to cancel all "
        "items",
        "Leave the id out, or let the items be done.",
    ),
    errors.AlreadyExists: ("cohort … is alive already; take another name or retire it", "Take another name."),
    errors.AgentsBusy: (
        "agent … of cohort … is in a run, lives a recorded life or works a queue; wait for it, cancel it or detach",
        "Wait for the run, cancel it, or detach the cohort.",
    ),
    errors.StorageFailed: (
        "the snapshot folder cannot be written: …; free some room, or start the server with another --data",
        "Free room on the server's disk.",
    ),
    CheckpointError: ("… cannot be read as JSON: …", "Mend or replace the checkpoint; `plures imitate` makes one."),
    errors.StudentInUse: ("cohorts … are alive of student …; retire them first", "Retire its agents first."),
    errors.StudentMismatch: (
        "the snapshot's agents are copies of … with the weights …, but loaded is …; load that student",
        "Load the student that the agents are copies of.",
    ),
    errors.TierUnavailable: (
        "cold states cannot be kept in … (…); name another folder with --tier-dir",
        "See to the disk, or name another folder.",
    ),
    errors.TaskFailed: ("task … failed in …: …", "Mend the task; the agents are free, and as of the last whole tick."),
    errors.NoCommonAncestor: (
        "it is not known where the agents' lives parted: …; save them in one snapshot, or merge them as what each has "
        "learned since it was newborn (ANCESTOR_NEWBORN)",
        "Merge from the newborn, or restore them from one snapshot.",
    ),
    errors.PoolFull: (
        "… agents are too many: … of at most … are alive; retire some or start the server with more --max-agents",
        "Retire agents, or give the server more room.",
    ),
    errors.EngineOverloaded: (
        "… requests wait already; try again in a moment",
        "Try again after the time told; pack more agents into a request.",
    ),
    errors.QueueFull: (
        "queue … holds … of at most … items, too many to take … more; submit them again when some are done",
        "Submit again, under the same id, when some are done.",
    ),
    errors.LogFull: (
        "no first checkpoint could be written (…), so there is no such cohort",
        "Free room on the server's disk; the log goes on by itself.",
    ),
    errors.QuotaExceeded: (
        "tenant … has … calls under way, which is its quota; end one of them",
        "End or retire something of the tenant's, or have its quota raised.",
    ),
    errors.RateExceeded: (
        "tenant … asks more often than its quota of … times a second; try again in … s",
        "Wait as long as told; pack more into a request.",
    ),
    errors.NotOffered: (
        "agents of student … are stepped by this server, a token at a time: send each with Act; a server with "
        "--engine vllm lets them read and say",
        "Do it as the message says, or at a server with the other engine.",
    ),
    errors.OperatorOnly: (
        "students are everybody's; tenant … may not load or unload them",
        "Ask who runs the server.",
    ),
    errors.Unauthenticated: (
        "the token is not known here; ask for a new one: `plures-server token new`",
        "Give the token of a tenant of this server.",
    ),
    errors.RecoveryRefused: (
        "the cohorts of … cannot be recovered: …. Mend that; or start without them: --set-aside … keeps their files "
        "in …",
        "Mend what it names, or start the server with --set-aside.",
    ),
    errors.DamagedLog: ("… is damaged at byte …: …", "Bring the file back from a backup, or set the journal aside."),
    errors.DamagedSnapshot: ("snapshot … is damaged: …", "Take another snapshot, or upload it again from elsewhere."),
    errors.QueueUnavailable: (
        "the queue store at … cannot be used: …; check that it runs, then try again: queued items are kept",
        "See to the Redis or Valkey behind the queues.",
    ),
    errors.EngineStopped: (
        "the server is shutting down",
        "Try again at another server, or when this one has started again.",
    ),
    errors.LogUnavailable: (
        "cohort … cannot be changed now: …; try again in a moment",
        "Try again: it goes on when a checkpoint could be written.",
    ),
    errors.DataFolderInUse: (
        "another server works on …: stop that one, or give this one a folder of its own with --data",
        "Stop the other server.",
    ),
}
ROWS = tuple(Row(kind, *_BY_KIND[kind]) for kind in CODES)

_HEAD = """# Errors

Every refusal is a gRPC status with details: `google.rpc.ErrorInfo` (domain `plures`, the reason below, which does not
change), `RetryInfo` where to try again makes sense, and `QuotaFailure` where a tenant's quota is used up. A message of
a stream that is refused is answered by an `ItemError` with the same code, reason and sentence, and the stream goes on.
The Python client raises an exception by the code, with `reason` and `retry_after_s`. What was refused has changed
nothing, but for the exceptions that the contract names. In sentences, … stands for values.

`INTERNAL` is none of these: the server met what it did not expect, and has logged it with the request's id.

This page is made of `server/plures_server/rpc/error_table.py`; a test brings each error about.
"""


def page() -> str:
    """The whole page."""
    head = ["| reason | code | cause | message | way out | try again |", "|---|---|---|---|---|---|"]
    return "\n".join([_HEAD, *head, *map(_line, ROWS), ""])


def _line(row: Row) -> str:
    seconds = RETRY_SECONDS.get(row.kind)
    again = "as told" if row.kind is errors.RateExceeded else f"after {seconds:g} s" if seconds else ""
    cause = " ".join((row.kind.__doc__ or "").split())
    return f"| `{reason_of(row.kind)}` | {CODES[row.kind].name} | {cause} | {row.message} | {row.way_out} | {again} |"


if __name__ == "__main__":
    print(page(), end="")
