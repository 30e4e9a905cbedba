"""An OpenAI-compatible endpoint, asked patiently: at a bounded rate, again after failures, never for ever."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plures_kernels.errors import InvalidArgument, PluresError

try:
    import httpx
except ImportError as error:  # pragma: no cover
    raise InvalidArgument("language-model teachers need httpx: pip install 'plures[llm]'") from error

PASSING = {408, 409, 425, 429, 500, 502, 503, 504}
"""What an endpoint answers that may answer otherwise soon."""


class EndpointDown(PluresError):
    """The endpoint does not answer, or not in the form of OpenAI's API; what was recorded is kept."""


@dataclass(frozen=True)
class EndpointSettings:
    """Where and how to ask. url: up to and with `/v1`. key: sent as a bearer token when not empty.

    rate: questions a second at most; None for no bound. tries: of one question, `pause_s` apart and twice as long after
    each failure. extra: entries added to each request's body, such as temperature or logit_bias.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    rate: float | None = None
    tries: int = 5
    pause_s: float = 1.0
    timeout_s: float = 120.0
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise InvalidArgument(f"{self.url!r} is no endpoint; it begins with http:// or https:// and ends with /v1")
        if self.rate is not None and not self.rate > 0:
            raise InvalidArgument(f"rate {self.rate} is not a positive number of questions a second")
        if self.tries < 1:
            raise InvalidArgument(f"tries {self.tries} is not at least 1")


@dataclass(frozen=True)
class Answer:
    """What a model said, how long it took, and the tokens it read and said (0 where the endpoint does not tell)."""

    text: str
    refused: bool
    seconds: float
    prompt_tokens: int
    completion_tokens: int


class Endpoint:
    """Asks one model; use it as an asynchronous context manager."""

    def __init__(self, settings: EndpointSettings) -> None:
        self._settings = settings
        headers = {"authorization": f"Bearer {settings.key}"} if settings.key else {}
        self._http = httpx.AsyncClient(timeout=settings.timeout_s, headers=headers)
        self._turn = asyncio.Lock()
        self._next = 0.0

    async def __aenter__(self) -> "Endpoint":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.aclose()

    async def ask(self, messages: list[dict[str, str]]) -> Answer:
        """The answer to a conversation. EndpointDown: none came, or none that could be read."""
        pause, failure = self._settings.pause_s, ""
        for left in reversed(range(self._settings.tries)):
            await self._wait()
            began = time.monotonic()
            try:
                return _answer(await self._post(messages), time.monotonic() - began)
            except (httpx.HTTPError, _Passing) as error:
                failure = f"{type(error).__name__}: {error}"
            if left:
                await asyncio.sleep(pause)
                pause *= 2
        raise EndpointDown(f"{self._settings.url} failed {self._settings.tries} times, at last with {failure[:300]}")

    async def _post(self, messages: list[dict[str, str]]) -> Any:
        body = {"model": self._settings.model, "messages": messages, **self._settings.extra}
        response = await self._http.post(f"{self._settings.url.rstrip('/')}/chat/completions", json=body)
        if response.status_code in PASSING:
            raise _Passing(f"status {response.status_code}")
        if response.status_code != 200:
            said = response.text[:300]
            raise EndpointDown(f"{self._settings.url} says {response.status_code}: {said}")
        try:
            return response.json()
        except ValueError as error:
            raise _Passing(f"no JSON: {response.text[:100]!r}") from error

    async def _wait(self) -> None:
        """For this question's turn."""
        if self._settings.rate is None:
            return
        async with self._turn:
            now = time.monotonic()
            self._next = max(self._next, now) + 1 / self._settings.rate
            await asyncio.sleep(self._next - 1 / self._settings.rate - now)


class _Passing(Exception):
    """A failure after which it is worth to ask again."""


def _answer(form: Any, seconds: float) -> Answer:
    try:
        message, usage = form["choices"][0]["message"], form.get("usage") or {}
        text, refusal = message.get("content"), message.get("refusal")
        counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _Passing(f"no chat completion: {str(form)[:100]}") from error
    if not isinstance(text, str | None):
        raise _Passing(f"no text: {str(text)[:100]}")
    return Answer(text or refusal or "", bool(refusal), seconds, counts[0], counts[1])
