"""The engine: one thread that owns the device and the pool, and does one piece of work at a time.

Work is of three kinds: calls (at once), acts (joined into waves), and drives (generators, resumed in turn, so that a
run over a million agents lets others in after each tile).
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch

from .act import Actor
from .act_request import ActRequest, ActResult
from .crew import Crew
from .durable.journals import Journals
from .errors import EngineOverloaded, EngineStopped, LogUnavailable
from .futures import Mailbox, answer
from .makings import Makings
from .pool import Pool, PoolConfig
from .stepper import TILES, Stepper
from .students import Hosted, Students
from .telemetry.meter import Meters

T = TypeVar("T")
Job = Generator[None, None, T]


@dataclass(frozen=True)
class EngineConfig:
    """`tiles`: rows of a tile, from few to many. `max_waiting`: requests that may wait before more are refused.

    `linger_us`: how long a wave waits, at most, for as many requests as went in the last one.
    """

    tiles: tuple[int, ...] = TILES
    max_waiting: int = 4096
    linger_us: int = 500


class Engine:
    """Start it, await its work from asyncio, stop it. What raises in the work raises where it is awaited."""

    def __init__(
        self,
        config: EngineConfig,
        pool: PoolConfig,
        students: Students,
        device: torch.device,
        journals: Journals | None = None,
        meters: Meters | None = None,
        makings: Makings | None = None,
    ) -> None:
        self._config = config
        self._makings = makings or Makings()
        self.students = students
        self.pool = Pool(pool, students, device, journals, self._makings.pages)
        self.journals = self.pool.journals
        self._crew = Crew(device)
        self.meters = meters or Meters()
        self.steppers = {
            s.name: self._makings.stepper(s, self.pool.pages(s), self._crew, config.tiles, self.meters)
            for s in students.all()
        }
        self._actor = Actor(self.pool, self.steppers)
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._driven: deque[tuple[Job[Any], Future[Any]]] = deque()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        # Nothing is sent after the None that ends the thread.
        self._sending = threading.Lock()
        self._stopping = False
        self._mail: Mailbox | None = None
        # Requests of the last wave.
        self._together = 0

    def start(self) -> None:
        self.journals.committer.start()
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being done, refuse the rest, and return when the thread has ended."""
        with self._sending:
            self._stopping = True
            self._inbox.put(None)
        self._thread.join()
        self.journals.committer.close()
        self._crew.close()
        self.pool.close()

    async def call(self, work: Callable[[Pool], T]) -> T:
        """Do a short piece of work on the pool. It may be done even when the caller is cancelled meanwhile."""
        self._check_room()
        return await asyncio.wrap_future(self.ask(work))

    def ask(self, work: Callable[[Pool], T]) -> "Future[T]":
        """As `call`, for other threads; never refused for overload. The future tells when it is done."""
        future: Future[T] = Future()
        self._send(lambda: self.journals.answer(future, _attempt(lambda: work(self.pool))))
        return future

    async def borrow(self, work: Callable[[Pool], T], give_back: Callable[[Pool, T], None]) -> T:
        """As `call`, for work that takes something.

        `give_back` returns it when the caller is cancelled meanwhile, or when it could not be logged.
        """
        self._check_room()
        taken: list[T] = []

        def take(pool: Pool) -> T:
            taken.append(work(pool))
            return taken[0]

        future = self.ask(take)
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except (asyncio.CancelledError, LogUnavailable):
            with contextlib.suppress(EngineStopped):
                # In turn: what was taken, if it was, has been taken by then.
                self.ask(lambda pool: give_back(pool, taken[0]) if taken else None)
            raise

    def give_back(self, work: Callable[[Pool], T]) -> "asyncio.Future[T]":
        """As `call`, for work that returns what was taken: never refused for overload, done without being awaited."""
        return asyncio.wrap_future(self.ask(work))

    async def take_in(self, student: Hosted) -> None:
        """Serve one more student, while others are served; raise PoolFull, and change nothing, without room for it."""
        pages = await self.borrow(lambda pool: pool.take_in(student), lambda pool, _: pool.forget(student))
        try:
            make = self._makings.stepper
            stepper = await asyncio.to_thread(make, student, pages, self._crew, self._config.tiles, self.meters)
        except BaseException:
            self.ask(lambda pool: pool.forget(student))
            raise
        await asyncio.wrap_future(self.ask(lambda pool: self._serve(stepper)))

    def _serve(self, stepper: Stepper) -> None:
        self.steppers[stepper.student.name] = stepper
        self.students.add(stepper.student)

    def forget(self, name: str) -> None:
        """Serve a student no longer, in the engine's thread; raise UnknownStudent or StudentInUse."""
        student = self.students.get(name)
        self.pool.forget(student)
        self.students.remove(student)
        del self.steppers[name]

    def act(self, request: ActRequest) -> "asyncio.Future[ActResult]":
        """Step agents once. For each agent, requests are carried out in the order of these calls.

        One that is cancelled before its turn is not carried out; later, cancelling does not undo it.
        """
        self._check_room()
        self._send(partial(self._actor.waiting.append, request))
        return self._mailbox().awaited(request.future)

    async def drive(self, job: Job[T]) -> T:
        """Resume a generator, in turn with the others, until it returns; cancelling its caller does not stop it."""
        future: Future[T] = Future()
        self._send(lambda: self._driven.append((job, future)))
        outcome = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(outcome)
        except asyncio.CancelledError:
            # Nobody asks any more how it ends; asyncio would complain of an error that nobody saw.
            outcome.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            raise

    def _mailbox(self) -> Mailbox:
        loop = asyncio.get_running_loop()
        if self._mail is None or self._mail.loop is not loop:
            self._mail = Mailbox(loop)
        return self._mail

    @property
    def waiting(self) -> int:
        """Requests that are not begun."""
        return self._inbox.qsize() + len(self._actor.waiting)

    def _check_room(self) -> None:
        if self.waiting >= self._config.max_waiting:
            raise EngineOverloaded(f"{self._config.max_waiting:,} requests wait already; try again in a moment")

    def _send(self, work: Callable[[], None]) -> None:
        with self._sending:
            if self._stopping:
                raise EngineStopped("the server is shutting down")
            self._inbox.put(work)

    def _work(self) -> None:
        self._crew.join()
        with torch.inference_mode():
            while not self._stopping:
                self._take_in(wait=not (self._actor.waiting or self._driven))
                self._linger()
                self._act()
                self._drive_one()
        self._refuse_rest()

    def _take_in(self, wait: bool) -> None:
        try:
            while (work := self._inbox.get(block=wait)) is not None:
                work()
                wait = False
        except queue.Empty:
            return

    def _linger(self) -> None:
        """Who was answered together asks again at about the same time: let them go together again.

        A client alone is never kept waiting, and when some stay away, the next wave waits for fewer.
        """
        end = time.perf_counter() + self._config.linger_us / 1e6
        while 0 < len(self._actor.waiting) < self._together and not (self._driven or self._stopping):
            if (left := end - time.perf_counter()) <= 0:
                return
            with contextlib.suppress(queue.Empty):
                if (work := self._inbox.get(timeout=left)) is None:
                    return
                work()

    def _act(self) -> None:
        with contextlib.nullcontext() if self._mail is None else self._mail.together():
            self._together = self._actor.step()

    def _drive_one(self) -> None:
        if not self._driven:
            return
        job, future = self._driven.popleft()
        try:
            next(job)
        except StopIteration as stop:
            self.journals.answer(future, stop.value)
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            self.journals.answer(future, error)
        else:
            self._driven.append((job, future))

    def _refuse_rest(self) -> None:
        self._take_in(wait=False)
        stopped = EngineStopped("the server is shutting down")
        for request in self._actor.waiting:
            answer(request.future, stopped)
        for _, future in self._driven:
            answer(future, stopped)


def _attempt(work: Callable[[], T]) -> T | BaseException:
    try:
        return work()
    except BaseException as error:  # noqa: BLE001 - raised where it is awaited
        return error
