"""A tick as the server makes it, in this process: a pool, a crew of threads, a run of the bandit. And its parts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from plures_server.crew import Crew
from plures_server.pool import Pool, PoolConfig
from plures_server.run import Run
from plures_server.runs import RunRequest, begin
from plures_server.student_stepper import StudentStepper
from plures_server.students import ServedStudent, Students
from plures_students.model import Inputs, Student

NAME = "bench"
RATES = torch.tensor([[0.25, 0.05]])
LONG = 1_000_000


@dataclass(frozen=True)
class Ticking:
    """A run under way, and the threads that step it."""

    run: Run
    stepper: StudentStepper
    crew: Crew

    def tick(self) -> None:
        """One step of every agent and its environment."""
        for _ in self.run.go_on_to(self.run.tick + 1):
            pass

    def parts(self) -> dict[str, Callable[[], object]]:
        """What a tick consists of, each for all agents in the tiles and on the threads of a tick.

        `network` encodes, too; it steps the agents' states once more, which changes what they do but not how long it
        takes.
        """
        return {name: self._over_tiles(work) for name, work in self._works().items()}

    def _works(self) -> dict[str, Callable[[slice], object]]:
        run, stepper = self.run, self.stepper
        logits = torch.zeros(len(run.wave), stepper.student.config.actions)
        assert isinstance(stepper.student, ServedStudent)
        student = stepper.student.model

        def encode(rows: slice) -> object:
            seen = run.episode.observation(rows), run.wave.last_action[rows], run.reward_B[rows], run.reward_B[rows]
            return student.encode(Inputs(*seen))

        def network(rows: slice) -> None:
            seen = run.episode.observation(rows), run.reward_B[rows], run.reward_B[rows]
            logits[rows] = stepper.logits(run.wave.rows(rows), *seen)

        def environment(rows: slice) -> object:
            run.episode.ended(rows)
            return run.episode.step(rows, run.wave.last_action[rows], run.tick)

        return {
            "encode": encode, "network": network, "environment": environment,
            "choose": lambda rows: stepper.choose(run.wave.rows(rows), logits[rows]),
        }  # fmt: skip

    def _over_tiles(self, work: Callable[[slice], object]) -> Callable[[], object]:
        def done(rows: slice) -> None:
            work(rows)

        def all_tiles() -> None:
            for batch in self.stepper.batches(slice(0, len(self.run.wave))):
                self.crew.each(done, batch)

        return all_tiles


@contextmanager
def ticking(student: Student, agents: int) -> Iterator[Ticking]:
    """So many agents of a student on the bandit, three ticks old, so that states are random and pages their own."""
    served = ServedStudent(NAME, student, {}, "")
    device = next(student.parameters()).device
    pool = Pool(PoolConfig(agents, (agents + 1) * served.page_bytes), Students([served]), device)
    crew = Crew(device)
    try:
        stepper = StudentStepper(served, pool.pages(served), crew)
        pool.start(NAME, NAME, agents, seed=1)
        begun = begin(pool, stepper, RunRequest(NAME, None, "bandit", RATES.to(device), LONG, seed=2))
        each = Ticking(begun.run, stepper, crew)
        for _ in range(3):
            each.tick()
        yield each
    finally:
        crew.close()
