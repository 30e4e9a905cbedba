"""What can go wrong between a client and its server: few exceptions, and one table from google.rpc codes to them."""

from collections.abc import Mapping


class PluresClientError(Exception):
    """A call that did not do what was asked; the message has the value and the way out.

    `reason` is the server's stable word for it (`UNKNOWN_AGENT`; empty when the server gave none), `metadata` are the
    values that belong to it, and `retry_after_s` when to try again, where the server says that this makes sense.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s


class InvalidArgument(PluresClientError, ValueError):
    """A value, shape or type that the server, or the client on its behalf, does not take."""


class NotFound(PluresClientError, LookupError):
    """No student, cohort, agent, task, queue or snapshot has that name."""


class AlreadyExists(PluresClientError):
    """The name is taken."""


class ResourceExhausted(PluresClientError):
    """The server has no room: agents, bytes, or places in a queue."""


class FailedPrecondition(PluresClientError):
    """The call does not fit the state that the server is in."""


class Aborted(PluresClientError):
    """The call lost against another one; try again."""


class DataLoss(PluresClientError):
    """A damaged file, or an answer that breaks the contract."""


class Unavailable(PluresClientError):
    """No server answers, or it went away; what was asked may or may not have been done."""


class DeadlineExceeded(PluresClientError, TimeoutError):
    """No answer within the call's deadline; what was asked may or may not have been done."""


class Cancelled(PluresClientError):
    """The server ended the call."""


class PermissionDenied(PluresClientError):
    """The server does not know the caller, or does not let it do this."""


class ServerError(PluresClientError):
    """A fault of the server's own: INTERNAL, UNKNOWN or UNIMPLEMENTED."""


BY_CODE: Mapping[int, type[PluresClientError]] = {
    1: Cancelled,
    2: ServerError,
    3: InvalidArgument,
    4: DeadlineExceeded,
    5: NotFound,
    6: AlreadyExists,
    7: PermissionDenied,
    8: ResourceExhausted,
    9: FailedPrecondition,
    10: Aborted,
    11: InvalidArgument,
    12: ServerError,
    13: ServerError,
    14: Unavailable,
    15: DataLoss,
    16: PermissionDenied,
}
"""Every google.rpc.Code but OK."""
