"""Why a completion failed: vLLM itself says no more than that it did when a named state cannot be loaded."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from plures_kernels.errors import InvalidArgument, PluresError

from .states.folder import StateFolder
from .states.orders import TransferParams

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Explaining:
    """Looks at the named states that a request speaks of: before, whether it can be meant, after a failure, why."""

    def __init__(
        self, app: App, folder: Callable[[], StateFolder | None], answer: Callable[[PluresError], App]
    ) -> None:
        self.app, self.folder, self.answer = app, folder, answer

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith("/completions"):
            await self.app(scope, receive, send)
            return
        body = await _body(receive)
        try:
            asked = _asked(body)
        except InvalidArgument as error:
            await self.answer(error)(scope, receive, send)
            return
        answering = _Answering(send, lambda: self._why(asked))
        await self.app(scope, _again(body, receive), answering.send)
        if answering.why is not None:
            await self.answer(answering.why)(scope, receive, send)

    def _why(self, asked: TransferParams) -> PluresError | None:
        folder = self.folder()
        try:
            if folder is not None and asked.load is not None:
                folder.load(asked.load)
        except PluresError as error:
            return error
        return None


class _Answering:
    """Sends an answer on, but for one that says that the server failed where there is a better one."""

    def __init__(self, send: Send, explain: Callable[[], PluresError | None]) -> None:
        self._send, self._explain = send, explain
        self.why: PluresError | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 500:
            self.why = self._explain()
        if self.why is None:
            await self._send(message)


async def _body(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body as if nobody had read it."""
    parts = [body]

    async def replay() -> Message:
        return {"type": "http.request", "body": parts.pop(), "more_body": False} if parts else await receive()

    return replay


def _asked(body: bytes) -> TransferParams:
    try:
        form = json.loads(body)
    except ValueError:
        return TransferParams()  # vLLM says what is wrong with it
    params = form.get("kv_transfer_params") if isinstance(form, dict) else None
    if params is not None and not isinstance(params, dict):
        raise InvalidArgument(f"kv_transfer_params is an object, not {params!r}")
    asked = TransferParams.of(params)
    if asked.save is not None and (form.get("n") or 1) > 1:
        raise InvalidArgument(f"n {form['n']} answers cannot all be saved as {asked.save!r}; ask for one, then fork")
    return asked
