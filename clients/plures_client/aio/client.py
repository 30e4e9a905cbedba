"""The asyncio client: the truth, of which the blocking client is a facade."""

from collections.abc import Mapping, Sequence
from typing import Self
from uuid import uuid4

from plures.v1.agent_pb2 import GetPoolRequest, ListCohortsRequest, StartCohortRequest

from .. import horizon
from ..credentials import Credentials, Tls
from ..durability import DurabilityLike
from ..durability import encode as encode_durability
from ..horizon import HorizonPolicy
from ..names import full
from ..records import CohortInfo, PoolInfo
from ..whole import whole
from .catalogue import AsyncStudents, AsyncTasks
from .cohort import AsyncCohort, merged, started
from .merging import MembersLike
from .queue import AsyncQueue, AsyncQueues
from .snapshots import AsyncSnapshots
from .wire import Wire

DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_TIMEOUT_S = 60.0


class AsyncClient:
    """A connection to one server; `async with` closes it.

    `timeout` is the deadline of every call that answers once, in seconds; streams have none and end when they are
    closed. `token` says who the caller is, `tls` whom to trust (True: whom the system trusts); left out, PLURES_TOKEN
    and PLURES_CA say so. Failures are `PluresClientError`s.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        timeout: float = DEFAULT_TIMEOUT_S,
        token: str | None = None,
        tls: Tls | bool | None = None,
    ) -> None:
        self._wire = Wire(address, timeout, Credentials.given(token, tls))
        self.address = address
        self.students = AsyncStudents(self._wire)
        self.tasks = AsyncTasks(self._wire)
        self.cohorts = AsyncCohorts(self._wire)
        self.snapshots = AsyncSnapshots(self._wire)
        self.queues = AsyncQueues(self._wire)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def cohort(self, name: str) -> AsyncCohort:
        """A handle on a cohort, whether or not there is one of that name."""
        return AsyncCohort(self._wire, name)

    def queue(self, name: str) -> AsyncQueue:
        """A handle on a queue, whether or not there is one of that name."""
        return AsyncQueue(self._wire, name)

    async def pool(self) -> PoolInfo:
        """Agents and bytes on the server."""
        return PoolInfo.read(await self._wire.call(self._wire.to.agents.GetPool, GetPoolRequest()))

    async def ready(self, within: float = 10.0) -> None:
        """Wait until the server takes calls; raise DeadlineExceeded when it does not within so many seconds."""
        await self._wire.ready(within)

    async def close(self) -> None:
        """End what is under way and close the connection."""
        await self._wire.close()


class AsyncCohorts:
    """The server's cohorts."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def start(
        self,
        name: str,
        *,
        student: str,
        count: int,
        seed: int = 0,
        durability: DurabilityLike = None,
        horizon_policy: HorizonPolicy | None = None,
    ) -> AsyncCohort:
        """Start `count` newborn agents of a student, its newest version unless one is named (`joe@2`).

        `durability` says what of them outlives the server, `horizon_policy` what becomes of those that outlive their
        student's horizon; left out, `warn`.
        """
        request = StartCohortRequest(
            cohort_id=name,
            student=full("students", student),
            count=whole(count, 32, "count"),
            seed=whole(seed, 64, "seed"),
            durability=encode_durability(durability),
            horizon_policy=horizon.encode(horizon_policy),
            request_id=uuid4().hex,
        )
        answer = await self._wire.call(self._wire.to.agents.StartCohort, request)
        return started(self._wire, answer.cohort)

    async def list(self) -> list[CohortInfo]:
        """All of them, by name."""
        pages = self._wire.pages(self._wire.to.agents.ListCohorts, ListCohortsRequest())
        return [CohortInfo.read(cohort) async for page in pages for cohort in page.cohorts]

    async def merge(
        self,
        name: str,
        members: MembersLike,
        *,
        weights: Mapping[str, Sequence[float]] | None = None,
        copies: int = 1,
        seed: int = 0,
        from_newborn: bool = False,
        durability: DurabilityLike = None,
    ) -> AsyncCohort:
        """As `Cohort.merge`, of agents of several cohorts: their ordinals by cohort, None for all of one's.

        `weights`, by cohort, too: one an agent.
        """
        return await merged(
            self._wire,
            name,
            members,
            weights or {},
            copies=copies,
            seed=seed,
            from_newborn=from_newborn,
            durability=durability,
        )
