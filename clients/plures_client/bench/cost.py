"""What a cohort's speed costs: memory, bytes moved, arithmetic, energy."""

from dataclasses import dataclass

from ..client import Client
from ..records import StudentInfo
from .machine import Rates, rates
from .power import watts_of
from .serial import Note, Pace, cohort_of
from .settings import Settings

FLOPS_A_WEIGHT = 2
FLOPS_A_STATE_FLOAT = 7
"""Decay, recall by the key, write, recall by the query: a multiplication by the decay, and three times two."""
WATT_SECONDS = 2.0


@dataclass(frozen=True)
class Cost:
    """Of the largest cohort measured. `bytes` and `flops` a copy's step takes at least, counted, not measured: its
    state read and written, each slow weight multiplied and added once. `watts`: None where nothing tells.
    """

    agents: int
    steps_per_second: float
    steps_per_second_a_gib: float
    bytes: int
    flops: int
    machine: Rates | None
    watts: float | None

    @property
    def bytes_per_second(self) -> float:
        return self.steps_per_second * self.bytes

    @property
    def share_of_bandwidth(self) -> float | None:
        return self.bytes_per_second / self.machine.bytes_per_second if self.machine else None

    @property
    def steps_a_joule(self) -> float | None:
        return self.steps_per_second / self.watts if self.watts else None

    @property
    def flops_a_byte(self) -> float:
        return self.flops / self.bytes


def measure(client: Client, settings: Settings, pace: Pace, note: Note) -> Cost:
    """The cost of a pace, with the machine's own rates measured in the same run."""
    student, device = client.students.get(settings.student), client.pool().device
    note("cost: what memory and arithmetic can do here")
    can = rates(client.address, device)
    return Cost(
        agents=pace.agents,
        steps_per_second=pace.steps_per_second,
        steps_per_second_a_gib=pace.steps_per_second / (pace.state_bytes / 2**30),
        bytes=2 * student.page_bytes,
        flops=flops(student),
        machine=can,
        watts=_watts(client, settings, pace, device),
    )


def flops(student: StudentInfo) -> int:
    """Of one step of one copy."""
    return FLOPS_A_WEIGHT * student.parameters + FLOPS_A_STATE_FLOAT * student.page_bytes // 4


def _watts(client: Client, settings: Settings, pace: Pace, device: str) -> float | None:
    ticks = max(1, round(WATT_SECONDS / pace.run.median))
    with cohort_of(client, settings, pace.agents) as (cohort, _):
        run = cohort.run(settings.task, settings.parameters, steps=ticks)
        return watts_of(run.result, device)
