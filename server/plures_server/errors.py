"""What the server can be asked for and not do. `rpc/errors.py` says which gRPC code each one is."""

from plures_kernels.errors import InvalidArgument, PluresError

__all__ = [
    "AgentsBusy",
    "AlreadyExists",
    "DamagedLog",
    "DamagedSnapshot",
    "DataFolderInUse",
    "EngineOverloaded",
    "EngineStopped",
    "InvalidArgument",
    "LogFull",
    "LogUnavailable",
    "NoCommonAncestor",
    "NotOffered",
    "OperatorOnly",
    "PluresError",
    "PoolFull",
    "QueueFull",
    "QueueUnavailable",
    "QuotaExceeded",
    "RateExceeded",
    "RecoveryRefused",
    "StorageFailed",
    "StudentInUse",
    "StudentMismatch",
    "TaskFailed",
    "TierUnavailable",
    "Unauthenticated",
    "UnknownAgent",
    "UnknownCohort",
    "UnknownQueue",
    "UnknownSnapshot",
    "UnknownStudent",
    "UnknownSubmission",
    "UnknownTask",
]


class UnknownStudent(PluresError):
    """No student of that name is loaded."""


class UnknownCohort(PluresError):
    """No cohort of that name is alive."""


class UnknownAgent(PluresError):
    """An ordinal that the cohort does not have, or whose agent was retired."""


class UnknownTask(PluresError):
    """No task of that name is known."""


class NotOffered(PluresError):
    """Something that this server's engine does not do; another does."""


class TaskFailed(PluresError):
    """A task's code raised, or returned what is no observation or no reward; its run is over, its agents are free."""


class UnknownSnapshot(PluresError):
    """No snapshot of that name is in the snapshot folder."""


class UnknownQueue(PluresError):
    """No queue of that name exists: nothing was ever enqueued on it, or it was deleted."""


class UnknownSubmission(PluresError):
    """A queue remembers no submission of that id."""


class AlreadyExists(PluresError):
    """The name is taken."""


class PoolFull(PluresError):
    """No room for more agents, or for the states of those that step."""


class TierUnavailable(PluresError):
    """A folder for cold states cannot be written, or its disk fails."""


class AgentsBusy(PluresError):
    """An agent is in a run, lives a recorded life or works a queue, and cannot be asked for anything else meanwhile."""


class EngineOverloaded(PluresError):
    """More requests wait than the engine takes on; try again a little later."""


class EngineStopped(PluresError):
    """The server is shutting down."""


class DamagedSnapshot(PluresError):
    """A snapshot's files are missing, truncated or altered; nothing of it was loaded."""


class StorageFailed(PluresError):
    """The disk does not take what is to be saved; nothing of it is kept."""


class StudentInUse(PluresError):
    """Agents of a student are alive, so that it cannot be unloaded."""


class StudentMismatch(PluresError):
    """States of one student cannot serve another."""


class NoCommonAncestor(PluresError):
    """Agents to be merged come from states that the server knows nothing in common of."""


class QueueUnavailable(PluresError):
    """The Redis or Valkey server behind the queues does not answer."""


class QueueFull(PluresError):
    """A queue holds as many items as it may; try again when some are done."""


class LogUnavailable(PluresError):
    """What a cohort was told could not be written to its log; it refuses more until the log works again."""


class LogFull(LogUnavailable):
    """As LogUnavailable, for want of space on the disk."""


class DamagedLog(PluresError):
    """A log or a checkpoint is not as it was written; nothing of it was loaded."""


class RecoveryRefused(PluresError):
    """Cohorts on the disk cannot be brought back as they were."""


class DataFolderInUse(PluresError):
    """Another server works on the data folder."""


class Unauthenticated(PluresError):
    """The call brings no token, or one that nobody has here."""


class OperatorOnly(PluresError):
    """What changes the server for all is not for one of its tenants."""


class QuotaExceeded(PluresError):
    """A tenant has as much of `what` as its quota allows."""

    def __init__(self, message: str, tenant: str, what: str) -> None:
        super().__init__(message)
        self.tenant = tenant
        self.what = what


class RateExceeded(QuotaExceeded):
    """A tenant asks more often than its quota allows; it may again in so many seconds."""

    def __init__(self, message: str, tenant: str, wait_s: float) -> None:
        super().__init__(message, tenant, "requests_per_second")
        self.wait_s = wait_s
