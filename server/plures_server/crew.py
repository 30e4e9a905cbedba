"""The crew: threads that step tiles side by side on a CPU. Tiles touch different agents, so they share nothing."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import torch
from plures_kernels.threads import use_one_core


class Crew:
    """A thread a core on a CPU; on a GPU the device works in parallel by itself, and the caller's thread does all.

    Two levels of threads would get in each other's way: cores are given to tiles, not to parts of one.
    """

    def __init__(self, device: torch.device) -> None:
        self.workers = torch.get_num_threads() if device.type == "cpu" else 1
        self._threads: ThreadPoolExecutor | None = None
        self._member = threading.local()
        if device.type == "cpu":
            self._threads = ThreadPoolExecutor(self.workers, "tile", use_one_core)

    def join(self) -> None:
        """Let the calling thread do single tiles itself, which spares handing them over. It keeps to one core then."""
        if self._threads is not None:
            use_one_core()
            self._member.joined = True

    def each(self, work: Callable[[slice], None], tiles: Sequence[slice]) -> None:
        """Do the work for every tile; raise what the first failing one raised, when all have ended."""
        inferring = torch.inference_mode()(work)
        if self._threads is None or (len(tiles) == 1 and hasattr(self._member, "joined")):
            for tile in tiles:
                inferring(tile)
            return
        done = [self._threads.submit(inferring, tile) for tile in tiles]
        wait(done)
        for tile_done in done:
            tile_done.result()

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown()
