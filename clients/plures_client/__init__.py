"""Talk to a Plures server: `Client` blocks, `AsyncClient` is for asyncio; both have the same surface."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .aio import AsyncClient, AsyncCohort, AsyncQueue
    from .client import Client
    from .credentials import Tls
    from .durability import Durability
    from .errors import PluresClientError
    from .items import Items, ResultBatch
    from .life import Life
    from .lineage import Lineage
    from .results import ActResult, RunProgress, RunRecord, RunResult, Said
    from .sync import Cohort, Queue

__all__ = [
    "ActResult",
    "AsyncClient",
    "AsyncCohort",
    "AsyncQueue",
    "Client",
    "Cohort",
    "Durability",
    "Items",
    "Life",
    "Lineage",
    "PluresClientError",
    "Queue",
    "ResultBatch",
    "RunProgress",
    "RunRecord",
    "RunResult",
    "Said",
    "Tls",
]

# Loaded when first asked for: `plures --help` needs neither gRPC nor numpy.
_HOMES = {
    "aio": ("AsyncClient", "AsyncCohort", "AsyncQueue"),
    "client": ("Client",),
    "credentials": ("Tls",),
    "durability": ("Durability",),
    "errors": ("PluresClientError",),
    "items": ("Items", "ResultBatch"),
    "life": ("Life",),
    "lineage": ("Lineage",),
    "results": ("ActResult", "RunProgress", "RunRecord", "RunResult", "Said"),
    "sync": ("Cohort", "Queue"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
