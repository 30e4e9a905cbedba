"""The catalogue: students loaded from one folder, and forgotten, while others are served."""

import asyncio
from pathlib import Path

from .engine import Engine
from .errors import AlreadyExists, NotOffered, UnknownStudent
from .names import check_student
from .students import Hosted, load_student


class Catalogue:
    """Loads and unloads the students of one server, one at a time."""

    def __init__(self, engine: Engine, folder: Path | None) -> None:
        """`folder`: None where no other student than those that are loaded can be."""
        self._engine = engine
        self._folder = folder
        self._turn = asyncio.Lock()

    async def load(self, name: str) -> Hosted:
        """Load the checkpoint in the folder of that name; one that is loaded already is answered as it is.

        Raises UnknownStudent, CheckpointError, PoolFull; AlreadyExists when other weights are loaded under the name.
        """
        directory = self._directory(name)
        async with self._turn:
            found = await asyncio.to_thread(load_student, directory, self._engine.pool.device)
            if (loaded := self._engine.students.find(name)) is not None:
                return _same(loaded, found)
            await self._engine.take_in(found)
            return found

    async def unload(self, name: str) -> None:
        """Forget a student; raise UnknownStudent, StudentInUse while agents of it are alive."""
        self._changing()
        async with self._turn:
            await self._engine.call(lambda pool: self._engine.forget(check_student(name)))

    def _changing(self) -> Path:
        if self._folder is None:
            raise NotOffered("a server with --engine vllm hosts one model; start another server for another one")
        return self._folder

    def _directory(self, name: str) -> Path:
        folder = self._changing()
        directory = folder / check_student(name)
        # A link could lead elsewhere.
        if not directory.is_dir() or directory.resolve().parent != folder.resolve():
            raise UnknownStudent(f"the server's folder of students has no folder {name!r}; put the checkpoint there")
        return directory


def _same(loaded: Hosted, found: Hosted) -> Hosted:
    if loaded.digest != found.digest:
        raise AlreadyExists(
            f"student {loaded.name!r} is loaded with the weights {loaded.digest[:12]}…, its folder has "
            f"{found.digest[:12]}…; call the new ones {loaded.family!r}@{loaded.version + 1}, or unload it first"
        )
    return loaded
