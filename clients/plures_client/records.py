"""What a server tells of itself, as plain values with short names."""

import json
from dataclasses import dataclass
from typing import Any, Self

from plures.v1.agent_pb2 import Cohort, GetPoolResponse, TierUsage
from plures.v1.queue_pb2 import Queue
from plures.v1.snapshot_pb2 import Snapshot
from plures.v1.student_pb2 import Student
from plures.v1.task_pb2 import Task

from . import horizon
from .durability import Durability
from .horizon import HorizonPolicy
from .names import short


@dataclass(frozen=True)
class StudentInfo:
    """A checkpoint that agents can be started of; `horizon` and the teacher's seconds are None when not measured."""

    name: str
    rule: str
    parameters: int
    page_bytes: int
    observation_space: dict[str, Any]
    action_space: dict[str, Any]
    digest: str
    horizon: int | None
    teacher_seconds_per_decision: float | None
    card: dict[str, Any]
    version: int

    @classmethod
    def read(cls, message: Student) -> Self:
        return cls(
            name=short(message.name),
            rule=message.rule,
            parameters=message.parameters,
            page_bytes=message.page_bytes,
            observation_space=_parse(message.observation_space),
            action_space=_parse(message.action_space),
            digest=message.digest,
            horizon=message.horizon or None,
            teacher_seconds_per_decision=message.teacher_seconds_per_decision or None,
            card=_parse(message.card),
            version=message.version,
        )


@dataclass(frozen=True)
class TaskInfo:
    """An environment on the server; `parameters` and `summary` name the columns of what it takes and gives."""

    name: str
    observation_space: dict[str, Any]
    action_space: dict[str, Any]
    parameters: tuple[str, ...]
    summary: tuple[str, ...]

    @classmethod
    def read(cls, message: Task) -> Self:
        return cls(
            name=short(message.name),
            observation_space=_parse(message.observation_space),
            action_space=_parse(message.action_space),
            parameters=tuple(message.parameters),
            summary=tuple(message.summary),
        )


@dataclass(frozen=True)
class CohortInfo:
    """How a cohort stands; `parent` is None for newborns."""

    name: str
    student: str
    count: int
    alive: int
    seed: int
    parent: str | None
    state_bytes: int
    min_step: int
    max_step: int
    durability: Durability
    horizon_policy: HorizonPolicy

    @classmethod
    def read(cls, message: Cohort) -> Self:
        return cls(
            name=short(message.name),
            student=short(message.student),
            count=message.count,
            alive=message.alive,
            seed=message.seed,
            parent=short(message.parent) or None,
            state_bytes=message.state_bytes,
            min_step=message.min_step,
            max_step=message.max_step,
            durability=Durability.read(message.durability),
            horizon_policy=horizon.read(message.horizon_policy),
        )


@dataclass(frozen=True)
class SnapshotInfo:
    """Agents in the server's snapshot folder: `agents` are alive, of `count` ordinals.

    `digest`: SHA-256 of its manifest, which has those of all other files.
    """

    name: str
    cohort: str
    student: str
    agents: int
    count: int
    bytes: int
    digest: str

    @classmethod
    def read(cls, message: Snapshot) -> Self:
        return cls(
            name=short(message.name),
            cohort=short(message.cohort),
            student=short(message.student),
            agents=message.agents,
            count=message.count,
            bytes=message.bytes,
            digest=message.digest,
        )


@dataclass(frozen=True)
class TierInfo:
    """One tier of the server's memory, `device`, `host` or `disk`: the states that lie in it."""

    name: str
    pages: int
    bytes_used: int
    bytes_capacity: int

    @classmethod
    def read(cls, message: TierUsage) -> Self:
        return cls(message.name, message.pages, message.bytes_used, message.bytes_capacity)


@dataclass(frozen=True)
class PoolInfo:
    """Agents and bytes of fast weights, over all students; `tiers` from the one they are stepped in to the coldest.

    Since the server began: steps of agents, and the waves and ticks they were made in. `waiting`: requests to step.
    """

    agents: int
    agents_free: int
    bytes_used: int
    bytes_capacity: int
    device: str
    tiers: tuple[TierInfo, ...]
    agent_steps: int
    waves: int
    waiting: int

    @classmethod
    def read(cls, message: GetPoolResponse) -> Self:
        return cls(
            agents=message.agents,
            agents_free=message.agents_free,
            bytes_used=message.bytes_used,
            bytes_capacity=message.bytes_capacity,
            device=message.device,
            tiers=tuple(map(TierInfo.read, message.tiers)),
            agent_steps=message.agent_steps,
            waves=message.waves,
            waiting=message.waiting,
        )


@dataclass(frozen=True)
class QueueStats:
    """Items of a queue by what has become of them, and the cohorts that work it.

    Another `incarnation` than before: the queue was deleted and begun again, or lost with its store.
    """

    name: str
    ready: int
    leased: int
    done: int
    dead: int
    last_error: str
    attached: tuple[str, ...]
    cancelled: int
    paused: bool
    incarnation: str

    @classmethod
    def read(cls, message: Queue) -> Self:
        return cls(
            name=short(message.name),
            ready=message.ready,
            leased=message.leased,
            done=message.done,
            dead=message.dead,
            last_error=message.last_error,
            attached=tuple(short(name) for name in message.attached),
            cancelled=message.cancelled,
            paused=message.paused,
            incarnation=message.incarnation,
        )


def _parse(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(text) if text else {}
    return parsed
