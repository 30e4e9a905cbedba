"""Steps of agents over the Act stream: many requests in flight, answers matched to them by id."""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any, Self, TypedDict, Unpack, cast

import grpc.aio
import numpy as np
from numpy.typing import ArrayLike
from plures.v1.agent_pb2 import ActRequest, ActResponse

from .. import ordinals as wire_ordinals
from ..errors import InvalidArgument, PluresClientError, Unavailable
from ..names import full
from ..ordinals import OrdinalsLike
from ..results import ActResult
from ..status import from_item_error
from ..tensors import decode, encode
from .ending import Ending
from .wire import Wire

MAX_AGENTS = 262_144


class Seen(TypedDict, total=False):
    """What agents see and are made to do in one step; what is left out is 0, or the agents' own choice.

    observation: [agents, …observation space], whole numbers for discrete spaces, floats for Box.
    reward: [agents], for the previous action. done: [agents], true when the previous action ended an episode.
    action: [agents], the actions they are made to take (teacher forcing).
    """

    observation: ArrayLike
    reward: ArrayLike
    done: ArrayLike
    action: ArrayLike


DTYPES: dict[str, type[np.generic]] = {"reward": np.float32, "done": np.uint8, "action": np.int32}


def parts(ordinals: OrdinalsLike, seen: Seen) -> Iterator[tuple[OrdinalsLike, Seen]]:
    """A step of any number of agents as steps of at most MAX_AGENTS each; what does not fit is refused as a whole."""
    arrays = _arrays(ordinals, seen)
    for some, rows in wire_ordinals.slices(ordinals, MAX_AGENTS):
        yield some, cast(Seen, {name: array[rows] for name, array in arrays.items()})


def act_request(
    number: int, cohort: str, ordinals: OrdinalsLike, want_log_probs: bool, want_steps: bool, seen: Seen
) -> ActRequest:
    """The message of one step; raise InvalidArgument when an array does not have a row for each agent."""
    tensors = {
        name: encode(array, DTYPES.get(name) or _observation_dtype(array))
        for name, array in _arrays(ordinals, seen).items()
    }
    return ActRequest(
        id=number,
        cohort=full("cohorts", cohort),
        ordinals=wire_ordinals.encode(ordinals),
        want_log_probs=want_log_probs,
        want_steps=want_steps,
        **tensors,
    )


def act_result(response: ActResponse) -> ActResult:
    action = decode(response.action, np.int32, (None,))
    log_probs = step = None
    if response.HasField("log_probs"):
        log_probs = decode(response.log_probs, np.float32, (len(action), None))
    if response.HasField("step"):
        step = decode(response.step, np.uint64, (len(action),))
    return ActResult(action, log_probs, step, response.beyond_horizon)


class AsyncActStream:
    """A stream of steps of one cohort; `async with` opens it and, at the end, waits for the answers still due.

    At most `window` steps are in flight: `send` waits for a place. Steps that name the same agent are carried out in
    the order sent. A step that is refused raises at its own future only; the stream goes on.
    """

    def __init__(self, wire: Wire, cohort: str, *, window: int, timeout_s: float | None) -> None:
        self._wire, self._cohort, self._timeout_s = wire, cohort, timeout_s
        self._places = asyncio.Semaphore(window)
        self._writing = asyncio.Lock()
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[ActResult]] = {}
        self._broken: PluresClientError | None = None

    async def __aenter__(self) -> Self:
        self._call = self._wire.to.agents.Act(timeout=self._timeout_s)
        self._ending = Ending(self._call, self._wire.address)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._broken is None:
            await self._call.done_writing()
        else:
            self._call.cancel()
        await self._read_to_the_end()

    async def send(
        self,
        ordinals: OrdinalsLike = None,
        *,
        want_log_probs: bool = False,
        want_steps: bool = False,
        **seen: Unpack[Seen],
    ) -> asyncio.Future[ActResult]:
        """Send one step of at most 262,144 agents; the future has its result.

        Raises:
            InvalidArgument: an array does not fit. Unavailable, …: the stream broke.
        """
        request = act_request(next(self._numbers), self._cohort, ordinals, want_log_probs, want_steps, seen)
        await self._places.acquire()
        answer: asyncio.Future[ActResult] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = answer
        await self._write(request)
        return answer

    async def act(
        self,
        ordinals: OrdinalsLike = None,
        *,
        want_log_probs: bool = False,
        want_steps: bool = False,
        **seen: Unpack[Seen],
    ) -> ActResult:
        """Send one step and wait for its result."""
        return await (await self.send(ordinals, want_log_probs=want_log_probs, want_steps=want_steps, **seen))

    async def _write(self, request: ActRequest) -> None:
        try:
            async with self._writing:
                await self._call.write(request)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # The reader learns why, and tells all who wait; this step must not be told a second time.
            if self._waiting.pop(request.id, None) is not None:
                self._places.release()
            await self._read_to_the_end()
            raise self._broken or Unavailable(f"the stream to {self._wire.address} is closed") from None

    async def _read(self) -> None:
        try:
            async for response in self._call:
                self._settle(response)
            self._end(self._ending.early())
        except grpc.aio.AioRpcError as error:
            self._end(await self._ending.why(error))
        except asyncio.CancelledError:
            self._end(Unavailable(f"the stream to {self._wire.address} was cancelled"))

    async def _read_to_the_end(self) -> None:
        try:
            # Not the task itself: it would be cancelled with its waiter, end well, and so undo the cancellation.
            await asyncio.wait({self._reader})
        except asyncio.CancelledError:
            self._call.cancel()
            raise

    def _settle(self, response: ActResponse) -> None:
        answer = self._waiting.pop(response.id, None)
        self._places.release()
        if answer is None or answer.done():
            return
        try:
            if response.HasField("error"):
                raise from_item_error(response.error)
            answer.set_result(act_result(response))
        except PluresClientError as error:
            answer.set_exception(error)

    def _end(self, why: PluresClientError) -> None:
        self._broken = why
        for answer in self._waiting.values():
            self._places.release()
            if not answer.done():
                answer.set_exception(why)
                # Whoever awaits the answer is told; who does not, need not hear of it in a log.
                answer.exception()
        self._waiting.clear()


def _arrays(ordinals: OrdinalsLike, seen: Seen) -> dict[str, np.ndarray[Any, Any]]:
    arrays = {name: np.asarray(values) for name, values in seen.items()}
    agents = wire_ordinals.count(ordinals)
    for name, array in arrays.items():
        agents = len(array) if agents is None and array.ndim else agents
        if array.shape[:1] != (agents,):
            raise InvalidArgument(f"{name} of shape {array.shape} given for {agents} agents; give a row each")
    return arrays


def _observation_dtype(array: np.ndarray[Any, Any]) -> type[np.generic]:
    return np.float32 if array.dtype.kind == "f" else np.int32
