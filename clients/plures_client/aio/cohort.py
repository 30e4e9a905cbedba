"""A handle on one cohort: step it, run it, let it become someone, fork, merge, save and retire it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol, TypeVar, Unpack
from uuid import uuid4

import numpy as np
from numpy.typing import ArrayLike, NDArray
from plures.v1.agent_pb2 import Cohort, ForkRequest, GetCohortRequest, RetireRequest
from plures.v1.lineage_pb2 import GetLineageRequest

from .. import horizon
from .. import ordinals as wire_ordinals
from ..durability import DurabilityLike
from ..durability import encode as encode_durability
from ..horizon import HorizonPolicy
from ..life import Life
from ..lineage import Event, Lineage
from ..names import full, short
from ..ordinals import OrdinalsLike
from ..records import CohortInfo, SnapshotInfo, TaskInfo
from ..results import ActResult, Said
from ..whole import whole
from .acting import AsyncActStream, Seen, parts
from .agents import AsyncAgents, Which
from .becoming import Became, OnProgress, become
from .catalogue import AsyncTasks
from .merging import MembersLike, merge
from .queue import AsyncQueue
from .running import AsyncRun, run_request
from .saving import written
from .saying import say
from .wire import Wire

Problem = TypeVar("Problem", contravariant=True)
Answer = TypeVar("Answer", covariant=True)


class Strategy(Protocol[Problem, Answer]):
    """Who works on what: `Map`, `Halving`, or one of your own."""

    async def solve(self, cohort: "AsyncCohort", problem: Problem, /) -> Answer: ...


class AsyncCohort:
    """Agents started together. Making a handle asks nothing of the server."""

    def __init__(self, wire: Wire, name: str) -> None:
        self._wire = wire
        self.name = short(name)

    def __repr__(self) -> str:
        return f"<cohort {self.name} at {self._wire.address}>"

    def __getitem__(self, which: Which) -> AsyncAgents:
        """Some of the agents: `cohort[7]`, `cohort[10:20]`, `cohort[[1, 5, 9]]`."""
        return AsyncAgents(self, which)

    async def describe(self) -> CohortInfo:
        """How the cohort stands; raise NotFound when there is none of that name."""
        answer = await self._wire.call(self._wire.to.agents.GetCohort, GetCohortRequest(name=self._full))
        return CohortInfo.read(answer.cohort)

    async def alive(self) -> NDArray[np.int64]:
        """The ordinals of the agents that are alive, ascending: there are gaps where some were retired."""
        found = await self.describe()
        if found.alive == found.count:
            return np.arange(found.count)
        events = (await self.lineage()).events
        # The event by which the cohort came to be tells of every agent that was asked about: of those alive.
        began = max(event.cohort_number for event in events)
        return np.concatenate([event.ordinals for event in events if event.number == began]).astype(np.int64)

    async def act(
        self,
        ordinals: OrdinalsLike = None,
        *,
        want_log_probs: bool = False,
        want_steps: bool = False,
        **seen: Unpack[Seen],
    ) -> ActResult:
        """Step agents once, all of them or those named.

        More than 262,144 agents, which must be named, go as several requests: when one is refused, the others have
        stepped all the same.
        """
        async with AsyncActStream(self._wire, self.name, window=32, timeout_s=self._wire.timeout_s) as stream:
            answers = [
                await stream.send(some, want_log_probs=want_log_probs, want_steps=want_steps, **rows)
                for some, rows in parts(ordinals, seen)
            ]
        return ActResult.join([await answer for answer in answers])

    def act_stream(self, *, window: int = 32) -> AsyncActStream:
        """A stream of steps, at most `window` in flight; open it with `async with`."""
        return AsyncActStream(self._wire, self.name, window=window, timeout_s=None)

    def run(
        self,
        task: str,
        parameters: Mapping[str, ArrayLike] | ArrayLike,
        *,
        steps: int | NDArray[np.integer],
        seed: int = 0,
        record: int = 0,
        ordinals: OrdinalsLike = None,
    ) -> AsyncRun:
        """Run a task on every agent, or those named, `steps` steps each: one number, or one an agent, not increasing.

        `parameters`, by name or as an array in the task's order: one value for all agents, or one an agent.
        Every step of the first `record` agents is recorded; the last of one that is done early is repeated.
        """
        request = run_request(self.name, task, steps=steps, seed=seed, record=record, ordinals=ordinals)
        return AsyncRun(self._wire, request, parameters)

    async def fork(
        self,
        name: str,
        ordinals: OrdinalsLike = None,
        *,
        copies: int = 1,
        seed: int = 0,
        durability: DurabilityLike = None,
        horizon_policy: HorizonPolicy | None = None,
    ) -> "AsyncCohort":
        """Start cohort `name` of `copies` copies of each agent as it is now: the first agent's copies come first."""
        request = ForkRequest(
            name=self._full,
            ordinals=wire_ordinals.encode(ordinals),
            copies=whole(copies, 32, "copies"),
            cohort_id=name,
            seed=whole(seed, 64, "seed"),
            durability=encode_durability(durability),
            horizon_policy=horizon.encode(horizon_policy),
            request_id=uuid4().hex,
        )
        answer = await self._wire.call(self._wire.to.agents.Fork, request)
        return started(self._wire, answer.cohort)

    async def merge(
        self,
        name: str,
        ordinals: OrdinalsLike = None,
        *,
        weights: Sequence[float] | None = None,
        copies: int = 1,
        seed: int = 0,
        from_newborn: bool = False,
        durability: DurabilityLike = None,
    ) -> "AsyncCohort":
        """Start cohort `name` of copies of one agent that knows what these have learned since their lives parted.

        Its state is S₀ + Σ wᵢ (Sᵢ − S₀), S₀ being where the lives parted, or the newborn's; `weights`: one an agent,
        any finite numbers; left out, 1/n each, the mean. `Client.cohorts.merge` merges across cohorts.

        Raises:
            FailedPrecondition: agents of different students, or restored apart: it is not known where they parted.
        """
        weighted = None if weights is None else {self.name: weights}
        members = {self.name: ordinals}
        return await merged(
            self._wire,
            name,
            members,
            weighted or {},
            copies=copies,
            seed=seed,
            from_newborn=from_newborn,
            durability=durability,
        )

    async def become(
        self,
        lives: Life | Sequence[Life],
        ordinals: OrdinalsLike = None,
        *,
        want_log_probs: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Became:
        """Replay recorded lives: one into each of the agents, or the same into all of them.

        When it returns, all of them have become who they were made to be; when it raises, none has. They are busy
        meanwhile. `on_progress` is told of steps. To make many of one, replay a life once and fork.
        """
        if isinstance(lives, Life):
            count = wire_ordinals.count(ordinals)
            lives = [lives] * ((await self.describe()).alive if count is None else count)
        return await become(self._wire, self.name, lives, ordinals, want_log_probs, on_progress)

    def say(
        self,
        prompt: str | Sequence[int],
        ordinals: OrdinalsLike = None,
        *,
        max_tokens: int,
        temperature: float = 1.0,
        stop_tokens: Sequence[int] = (),
    ) -> AsyncGenerator[Said, None]:
        """Let agents of a language model read text or tokens; what each says after it is answered as it is said.

        When all have ended, they have read what they said, too. One that is left early leaves the agents as they were.
        """
        return say(self._wire, self.name, prompt, ordinals, max_tokens, temperature, stop_tokens)

    async def lineage(self, ordinals: OrdinalsLike = None) -> Lineage:
        """Where the agents come from: births, forks, merges, restorations, and recorded lives that they lived."""
        request = GetLineageRequest(name=self._full, ordinals=wire_ordinals.encode(ordinals))
        async with aclosing(self._wire.messages(self._wire.to.agents.GetLineage(request))) as messages:
            return Lineage(tuple([Event.read(message) async for message in messages]))

    async def snapshot(
        self, name: str, ordinals: OrdinalsLike = None, *, on_progress: OnProgress | None = None
    ) -> SnapshotInfo:
        """Write the agents to the server's snapshot folder as `name`; `on_progress` is told of bytes.

        One that is cancelled leaves nothing.
        """
        return await written(self._wire, self.name, name, ordinals, on_progress)

    async def retire(self, ordinals: OrdinalsLike = None) -> int:
        """End agents, all of them or those named; answer how many were alive until now."""
        request = RetireRequest(name=self._full, ordinals=wire_ordinals.encode(ordinals))
        return (await self._wire.call(self._wire.to.agents.Retire, request)).retired

    async def task(self, name: str) -> TaskInfo:
        """A task of the same server; raise NotFound, with the names there are, when none has that name."""
        return await AsyncTasks(self._wire).get(name)

    def beside(self, name: str) -> "AsyncCohort":
        """A handle on another cohort of the same server, whether or not there is one of that name."""
        return AsyncCohort(self._wire, name)

    def queue(self, name: str) -> AsyncQueue:
        """A queue of the same server."""
        return AsyncQueue(self._wire, name)

    async def solve(self, strategy: Strategy[Problem, Answer], problem: Problem) -> Answer:
        """Let the cohort solve a problem by a strategy."""
        return await strategy.solve(self, problem)

    @property
    def _full(self) -> str:
        return full("cohorts", self.name)


def started(wire: Wire, message: Cohort) -> AsyncCohort:
    return AsyncCohort(wire, message.name)


async def merged(
    wire: Wire,
    name: str,
    members: MembersLike,
    weights: Mapping[str, Sequence[float]],
    *,
    copies: int,
    seed: int,
    from_newborn: bool,
    durability: DurabilityLike,
) -> AsyncCohort:
    made = await merge(
        wire, name, members, weights, copies=copies, seed=seed, from_newborn=from_newborn, durability=durability
    )
    return AsyncCohort(wire, made)
