"""Pages as named states: what is read and written is a file, named by a page's handle and how often it was vacated.

So a state whose page was vacated while it was being saved takes nobody's place.

Shapes: B rows of a wave, N pages, F floats of a page.
"""

import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import InvalidArgument, StorageFailed
from ...pages.places import NEWBORN, Handles, Slots, TierUsage
from ..states import Facts, State, StateFolder, UnknownState

MARK = "page-"
PUBLISHED_SECONDS = 30.0
"""A state is published milliseconds after the call's answer; beyond this something is wrong."""
LOOK_SECONDS = 0.001


@dataclass(frozen=True)
class Layout:
    """The tensors of a state by name, and the model that it belongs to; a page has all their numbers in that order."""

    model: str
    tensors: dict[str, tuple[torch.Size, torch.dtype]]

    @classmethod
    def of(cls, state: State) -> "Layout":
        """InvalidArgument: a page is of numbers with a fraction, which these are not."""
        if whole := [name for name, tensor in state.tensors.items() if not tensor.is_floating_point()]:
            raise InvalidArgument(f"the model keeps {state.tensors[whole[0]].dtype} in {whole[0]}, which no page holds")
        tensors = {name: (tensor.shape, tensor.dtype) for name, tensor in sorted(state.tensors.items())}
        return cls(state.facts.model, tensors)

    @property
    def page_floats(self) -> int:
        return sum(math.prod(shape) for shape, _ in self.tensors.values())

    def flat(self, state: State) -> Tensor:
        """The page [F], float32: exact, since no state of a model has finer numbers."""
        return torch.cat([state.tensors[name].flatten().float() for name in self.tensors])

    def state(self, page_F: Tensor) -> State:
        parts = page_F.split([math.prod(shape) for shape, _ in self.tensors.values()])
        shaped = zip(self.tensors.items(), parts, strict=True)
        tensors = {name: part.view(shape).to(dtype) for (name, (shape, dtype)), part in shaped}
        return State(Facts(self.model, tokens=1).renewed(), tensors)


class NamedPlaces:
    """What `Pages` asks of whoever keeps its pages, kept by vLLM's worker and a folder of states."""

    most_rows: int | None = None

    def __init__(self, capacity: int, folder: StateFolder, layout: Layout, require_alive: Callable[[], None]) -> None:
        """`require_alive`: raises when nobody is there any more to publish a state."""
        self.capacity = capacity
        # Nothing is stepped here: it has the shape of pages, and no memory.
        self.hot_NF = torch.zeros(1, 1).expand(capacity, layout.page_floats)
        self._folder, self._layout, self._require_alive = folder, layout, require_alive
        self._versions: dict[int, str] = {}
        self._vacated: Counter[int] = Counter()
        for name in folder.names():
            if name.startswith(MARK):
                folder.delete(name, durable=False)  # of agents that ended with an earlier server

    def promise(self, count: int) -> None:
        """There is room until the disk is full."""

    def bring(self, read_B: Handles, write_B: Handles) -> tuple[Slots, Slots]:
        return read_B, write_B

    def name(self, handle: int) -> str:
        """The name of a page's state."""
        return f"{MARK}{handle}-{self._vacated[handle]}"

    def names(self, handles: list[int]) -> list[str | None]:
        """The states to go on from; None for the newborn, who have none."""
        return [None if handle == NEWBORN else self.name(handle) for handle in handles]

    def written(self, handle: int, version: str) -> None:
        """A call has left this version of a page's state; it will be published in a moment."""
        self._versions[handle] = version

    def vacate(self, handles: Handles) -> None:
        for handle in handles.tolist():
            self._versions.pop(handle, None)
            with contextlib.suppress(UnknownState):  # its state was never saved
                self._folder.delete(self.name(handle), durable=False)
            self._vacated[handle] += 1

    def get(self, handles: Handles) -> Tensor:
        return torch.stack([self._page(handle) for handle in handles.tolist()] or [self._page(NEWBORN)])[: len(handles)]

    def put(self, handles: Handles, states_NF: Tensor) -> None:
        for handle, page_F in zip(handles.tolist(), states_NF.cpu(), strict=True):
            state = self._layout.state(page_F)
            self._folder.save(self.name(handle), state, durable=False)
            self._versions[handle] = state.facts.version

    def usage(self, used: int) -> list[TierUsage]:
        page_bytes = self.hot_NF.shape[1] * 4
        return [TierUsage("disk", used, used * page_bytes, (self.capacity - 1) * page_bytes)]

    def close(self) -> None:
        """The folder is cleared by whoever starts next."""

    def _page(self, handle: int) -> Tensor:
        if handle == NEWBORN:
            return torch.zeros(self.hot_NF.shape[1])
        return self._layout.flat(
            published(self._folder, self.name(handle), self._versions[handle], self._require_alive)
        )


def published(folder: StateFolder, name: str, version: str, require_alive: Callable[[], None]) -> State:
    """This version of a state, once it is published: other processes do that a moment after they have answered."""
    until = time.monotonic() + PUBLISHED_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(UnknownState):
            if (state := folder.load(name)).facts.version == version:
                return state
        require_alive()
        # Only the files tell.
        time.sleep(LOOK_SECONDS)
    raise StorageFailed(f"vLLM has not saved state {name!r} in {PUBLISHED_SECONDS:g} s; its log says why")
