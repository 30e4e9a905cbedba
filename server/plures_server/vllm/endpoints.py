"""Named states over vLLM's HTTP API: an endpoint plugin of it, switched on by VLLM_PLUGINS=plures.

GET    /v1/states                 all states
POST   /v1/states                 {"from": [NAME, …], "name": NEW, "weights": […]}: a fork of one, a merge of several
GET    /v1/states/NAME            one state
DELETE /v1/states/NAME
GET    /v1/states/NAME/file       the state, to be kept elsewhere
PUT    /v1/states/NAME/file       such a file, to go on from here
POST   /v1/states:sync            have all states on the disk before this is answered
"""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from plures_kernels.errors import InvalidArgument, PluresError

from ..errors import AlreadyExists, StorageFailed
from .explaining import Explaining
from .states.errors import DamagedState, StateMismatch, UnknownState
from .states.folder import StateFolder
from .states.state_file import Facts

STATUS: dict[type[PluresError], int] = {
    InvalidArgument: 400,
    UnknownState: 404,
    AlreadyExists: 409,
    StateMismatch: 409,
    DamagedState: 422,
    StorageFailed: 507,
}


class StateEndpoints:
    """What vLLM loads as an endpoint plugin."""

    name = "plures"
    required_tasks = ("generate",)

    def __init__(self) -> None:
        self._folder: StateFolder | None = None

    def attach_router(self, app: FastAPI) -> None:
        app.add_middleware(Explaining, folder=lambda: self._folder, answer=refusal)
        app.add_exception_handler(PluresError, _refuse)
        app.get("/v1/states")(self.list)
        app.post("/v1/states")(self.create)
        app.post("/v1/states:sync")(self.sync)
        app.get("/v1/states/{name}")(self.get)
        app.delete("/v1/states/{name}")(self.delete)
        app.get("/v1/states/{name}/file")(self.export)
        app.put("/v1/states/{name}/file")(self.import_)

    async def init_state(self, engine_client: Any, state: Any, args: Any) -> None:
        transfer = engine_client.vllm_config.kv_transfer_config
        extra = {} if transfer is None else transfer.kv_connector_extra_config
        if transfer is not None and transfer.kv_connector == "NamedStateConnector":
            self._folder = StateFolder.configured(extra)

    async def list(self) -> dict[str, Any]:
        folder = self.folder
        names = await asyncio.to_thread(folder.names)
        return {"states": [await self._told(name) for name in names if folder.has(name)]}

    async def create(self, request: Request) -> dict[str, Any]:
        try:
            form = await request.json()
        except ValueError as error:
            raise InvalidArgument(f"the body is no JSON: {error}") from error
        known = isinstance(form, dict) and {"from", "name"} <= set(form) <= {"from", "name", "weights"}
        if not known or not isinstance(form["from"], list) or not isinstance(form.get("weights"), list | None):
            raise InvalidArgument(
                'send {"from": [NAME, …], "name": NEW}, and for a merge "weights" if not all are equal'
            )
        sources, name, weights = form["from"], form["name"], form.get("weights")
        if len(sources) == 1 and weights is None:
            await asyncio.to_thread(self.folder.fork, sources[0], name)
        else:
            await asyncio.to_thread(self.folder.merge, sources, name, weights)
        return await self._told(name)

    async def sync(self) -> dict[str, Any]:
        await asyncio.to_thread(self.folder.sync)
        return {"synced": True}

    async def get(self, name: str) -> dict[str, Any]:
        return await self._told(name)

    async def delete(self, name: str) -> dict[str, Any]:
        await asyncio.to_thread(self.folder.delete, name)
        return {"deleted": name}

    async def export(self, name: str) -> Response:
        return Response(
            await self._with_file(lambda file: self._read(name, file)), media_type="application/octet-stream"
        )

    async def import_(self, name: str, request: Request) -> dict[str, Any]:
        data = await request.body()
        await self._with_file(lambda file: self._take(name, file, data))
        return await self._told(name)

    @property
    def folder(self) -> StateFolder:
        if self._folder is None:
            raise InvalidArgument("this server keeps no named states; start it with the NamedStateConnector")
        return self._folder

    async def _told(self, name: str) -> dict[str, Any]:
        return told(name, await asyncio.to_thread(self.folder.facts, name))

    async def _with_file(self, work: Callable[[Path], Any]) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            return await asyncio.to_thread(work, Path(folder) / "state")

    def _read(self, name: str, file: Path) -> bytes:
        self.folder.export(name, file)
        return file.read_bytes()

    def _take(self, name: str, file: Path, data: bytes) -> Facts:
        file.write_bytes(data)
        return self.folder.import_(name, file)


def told(name: str, facts: Facts) -> dict[str, Any]:
    return {"name": name, **asdict(facts)}


def refusal(error: PluresError) -> JSONResponse:
    """The error in the form that OpenAI's clients read."""
    code = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    return JSONResponse({"error": {"message": str(error), "type": type(error).__name__, "code": code}}, code)


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PluresError)
    return refusal(error)
