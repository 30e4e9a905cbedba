"""The blocking client: a facade over the asyncio client, with the same surface."""

from collections.abc import Mapping, Sequence
from typing import Self

from .aio.catalogue import AsyncStudents, AsyncTasks
from .aio.client import (
    DEFAULT_ADDRESS,
    DEFAULT_TIMEOUT_S,
    AsyncClient,
    AsyncCohorts,
)
from .aio.merging import MembersLike
from .credentials import Tls
from .durability import DurabilityLike
from .horizon import HorizonPolicy
from .records import CohortInfo, PoolInfo, StudentInfo, TaskInfo
from .sync.cohort import Cohort
from .sync.loop import LoopThread
from .sync.queue import Queue, Queues
from .sync.snapshots import Snapshots


class Client:
    """A connection to one server; `with` closes it.

    `timeout` is the deadline of every call that answers once, in seconds; streams have none and end when they are
    closed. `token` says who the caller is, `tls` whom to trust (True: whom the system trusts); left out, PLURES_TOKEN
    and PLURES_CA say so. Failures are `PluresClientError`s. May be used from several threads. Ctrl-C cancels the call
    under way on the server, too.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        timeout: float = DEFAULT_TIMEOUT_S,
        token: str | None = None,
        tls: Tls | bool | None = None,
    ) -> None:
        self._client = AsyncClient(address, timeout=timeout, token=token, tls=tls)
        self._loop = LoopThread.acquire()
        self._open = True
        self.address = address
        self.students = Students(self._loop, self._client.students)
        self.tasks = Tasks(self._loop, self._client.tasks)
        self.cohorts = Cohorts(self._loop, self._client.cohorts)
        self.snapshots = Snapshots(self._loop, self._client.snapshots)
        self.queues = Queues(self._loop, self._client.queues)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cohort(self, name: str) -> Cohort:
        """A handle on a cohort, whether or not there is one of that name."""
        return Cohort(self._loop, self._client.cohort(name))

    def queue(self, name: str) -> Queue:
        """A handle on a queue, whether or not there is one of that name."""
        return Queue(self._loop, self._client.queue(name))

    def pool(self) -> PoolInfo:
        """Agents and bytes on the server."""
        return self._loop.run(self._client.pool())

    def ready(self, within: float = 10.0) -> None:
        """Wait until the server takes calls; raise DeadlineExceeded when it does not within so many seconds."""
        self._loop.run(self._client.ready(within))

    def close(self) -> None:
        """End what is under way and close the connection; a second time does nothing."""
        if self._open:
            self._open = False
            self._loop.run(self._client.close())
            self._loop.release()


class Students:
    """The checkpoints that agents can be started of."""

    def __init__(self, loop: LoopThread, students: AsyncStudents) -> None:
        self._loop, self._students = loop, students

    def list(self) -> list[StudentInfo]:
        return self._loop.run(self._students.list())

    def get(self, name: str) -> StudentInfo:
        return self._loop.run(self._students.get(name))

    def load(self, name: str) -> StudentInfo:
        return self._loop.run(self._students.load(name))

    def unload(self, name: str) -> None:
        self._loop.run(self._students.unload(name))


class Tasks:
    """The environments that run beside the agents."""

    def __init__(self, loop: LoopThread, tasks: AsyncTasks) -> None:
        self._loop, self._tasks = loop, tasks

    def list(self) -> list[TaskInfo]:
        return self._loop.run(self._tasks.list())

    def get(self, name: str) -> TaskInfo:
        return self._loop.run(self._tasks.get(name))


class Cohorts:
    """The server's cohorts."""

    def __init__(self, loop: LoopThread, cohorts: AsyncCohorts) -> None:
        self._loop, self._cohorts = loop, cohorts

    def start(
        self,
        name: str,
        *,
        student: str,
        count: int,
        seed: int = 0,
        durability: DurabilityLike = None,
        horizon_policy: HorizonPolicy | None = None,
    ) -> Cohort:
        starting = self._cohorts.start(
            name, student=student, count=count, seed=seed, durability=durability, horizon_policy=horizon_policy
        )
        return Cohort(self._loop, self._loop.run(starting))

    def list(self) -> list[CohortInfo]:
        return self._loop.run(self._cohorts.list())

    def merge(
        self,
        name: str,
        members: MembersLike,
        *,
        weights: Mapping[str, Sequence[float]] | None = None,
        copies: int = 1,
        seed: int = 0,
        from_newborn: bool = False,
        durability: DurabilityLike = None,
    ) -> Cohort:
        merging = self._cohorts.merge(
            name, members, weights=weights, copies=copies, seed=seed, from_newborn=from_newborn, durability=durability
        )
        return Cohort(self._loop, self._loop.run(merging))
