"""Whether vLLM's engine, a process of its own, is alive."""

import threading
from concurrent.futures import Future
from multiprocessing import connection
from typing import Any

from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.engine.llm_engine import LLMEngine

from ...errors import EngineStopped


class Watch:
    """Looks after the engine's process. `died`: resolved when it ends before `close`, with what to tell callers."""

    def __init__(self, engine: LLMEngine) -> None:
        self.died: Future[EngineStopped] = Future()
        self._client: Any = engine.engine_core
        self._sentinels = self._client.resources.engine_manager.sentinels()
        self._closing = False
        threading.Thread(target=self._wait, name="watch-vllm", daemon=True).start()

    def require_alive(self) -> None:
        """EngineStopped, unless it is."""
        if self.died.done():
            raise self.died.result()

    def close(self) -> None:
        """From now on the engine may end."""
        self._closing = True

    def _wait(self) -> None:
        connection.wait(self._sentinels)
        if self._closing:
            return
        self.died.set_result(
            EngineStopped(
                "vLLM's engine has died, the server's log may say why, and the server ends; agents are gone, snapshots "
                "are not: start the server again, and restore them"
            )
        )
        # vLLM forgets whoever waits for an answer when the engine is killed, rather than dies of an error of its own.
        self._client.outputs_queue.put_nowait(EngineDeadError())
