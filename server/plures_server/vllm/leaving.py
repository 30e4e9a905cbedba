"""How vLLM's own processes end: in time, and not without the one that started them."""

import atexit
import gc
import multiprocessing
import os
import signal
import threading
from multiprocessing import connection

STANDARD_ERROR = 2


def leave_quickly() -> None:
    """Have this process end without a last look for garbage, which goes with it anyway.

    To look through all that vLLM and torch have imported takes seconds of each of its processes, one after the other:
    on a busy machine longer than whoever stops them waits before killing them.
    """
    atexit.unregister(_leave)
    atexit.register(_leave)


def leave_with_parent() -> None:
    """Have this process stop as if told to when the one that started it is gone, be that killed.

    vLLM's engine would stay, with its memory, and would hold the folder of states against whoever is started next.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="watch-parent", daemon=True).start()


def _leave() -> None:
    gc.freeze()
    # Triton's binding would call at length a leak what nobody looked for.
    os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_ERROR)
