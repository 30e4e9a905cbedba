"""Agents of a language model that read and say, in one call each; afterwards they have read what they said, too."""

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import torch
from plures_kernels import counter

from ...cohort import Cohort, Ordinals
from ...errors import InvalidArgument
from ...pages import Turnover
from ...pool import Pool
from ...speech import MAX_SPEAKERS, Piece, SayRequest
from ...wave import agent_seeds
from .places import NamedPlaces
from .running import READ, Call, Running

SAYING_STREAM = 3
"""Randomness of what is said: the agent's, at the step at which it begins."""


class Speakers:
    """See `Saying`. Each agent's state goes from its page to a fresh one, which becomes its own when it is kept."""

    def __init__(self, running: Running, pool: Pool, cohort: Cohort, ordinals: Ordinals, turnover: Turnover) -> None:
        self._running, self._pool, self._cohort = running, pool, cohort
        self._ordinals, self._turnover = ordinals, turnover
        self._pages = pool.pages(cohort.student)
        # Calls under way, and whose they are.
        self._row: dict[str, int] = {}
        self._said: list[list[int]] = [[] for _ in ordinals]
        self._read = 0
        self._dropped = False

    @classmethod
    def begin(cls, running: Running, pool: Pool, request: SayRequest) -> "Speakers":
        """Take the agents, and let them begin; what is refused changes nothing."""
        cohort = pool.get(request.cohort)
        ordinals = pool.select(cohort, request.ordinals)
        if len(ordinals) > MAX_SPEAKERS:
            raise InvalidArgument(f"{len(ordinals):,} agents say something; at most {MAX_SPEAKERS} do in one call")
        prompt, params = _prompt(running, request), _params(request)
        turnover = pool.pages(cohort.student).turn_over(cohort.page[ordinals], keep=True)
        cohort.busy[ordinals] = True
        speakers = cls(running, pool, cohort, ordinals, turnover)
        speakers._begin(prompt, params)
        return speakers

    def next_pieces(self) -> Generator[None, None, list[Piece]]:
        while self._row:
            # Others' calls may have brought it.
            if pieces := self._take():
                return pieces
            self._running.step()
            yield
        if not self._dropped:
            yield from self._read_last()
        return []

    def keep(self) -> None:
        cohort, ordinals = self._cohort, self._ordinals
        steps = np.array([self._read + len(said) for said in self._said])
        cohort.page[ordinals] = self._pages.settle(self._turnover)
        cohort.step[ordinals] += steps
        cohort.last_action[ordinals] = [said[-1] for said in self._said]
        cohort.reward[ordinals] = 0
        cohort.busy[ordinals] = False
        self._pool.steps.count(int(steps.sum()))

    def drop(self) -> None:
        self._dropped = True
        if self._row:
            self._running.give_up(list(self._row))
            # Whoever waits for pieces, while the client has left, is done.
            self._row.clear()
        self._pages.settle(self._turnover, np.zeros(len(self._ordinals), np.bool_))
        self._cohort.busy[self._ordinals] = False

    def _begin(self, prompt: Sequence[int], params: dict[str, Any]) -> None:
        self._read = len(prompt)
        pages = zip(self._places.names(self._turnover.read.tolist()), self._written(), strict=True)
        for row, ((load, save), seed) in enumerate(zip(pages, _seeds(self._cohort, self._ordinals), strict=True)):
            self._row[self._running.begin(Call(prompt, load, save, {**params, "seed": seed}))] = row

    def _take(self) -> list[Piece]:
        pieces = []
        for key, row in list(self._row.items()):
            taken = self._running.take(key)
            if taken.done:
                del self._row[key]
            for output in taken.outputs:
                said = output.outputs[0]
                self._said[row] += said.token_ids
                ordinal = int(self._ordinals[row])
                pieces.append(Piece(ordinal, tuple(said.token_ids), said.text, said.finish_reason or ""))
        return pieces

    def _read_last(self) -> Generator[None, None, None]:
        """vLLM has not read what it said last."""
        for row, (state, said) in enumerate(zip(self._written(), self._said, strict=True)):
            self._row[self._running.begin(Call(said[-1:], state, state, READ))] = row
        while self._row:
            for key, row in list(self._row.items()):
                if (taken := self._running.take(key)).done:
                    del self._row[key]
                    self._places.written(int(self._turnover.write[row]), taken.version)
            self._running.step()
            yield

    def _written(self) -> list[str]:
        return [self._places.name(handle) for handle in self._turnover.write.tolist()]

    @property
    def _places(self) -> NamedPlaces:
        assert isinstance(self._pages.places, NamedPlaces)
        return self._pages.places


def _prompt(running: Running, request: SayRequest) -> Sequence[int]:
    if request.text is None:
        tokens: Sequence[int] = request.tokens
        vocabulary = running.config.get_vocab_size()
        if wrong := [token for token in tokens if not 0 <= token < vocabulary]:
            raise InvalidArgument(f"token {wrong[0]} is none of the model's 0 … {vocabulary - 1}")
    elif (tokenizer := running.tokenizer) is None:
        raise InvalidArgument("this model has no tokenizer, so that it cannot be told text; send tokens")
    else:
        tokens = tokenizer.encode(request.text, add_special_tokens=False)
    longest = running.config.max_model_len
    if not tokens or len(tokens) + request.max_tokens + 2 > longest:
        raise InvalidArgument(
            f"{len(tokens)} tokens to read and {request.max_tokens} to say; at least one is read, and a call has at "
            f"most {longest} of both: send what is longer in several calls"
        )
    return tokens


def _params(request: SayRequest) -> dict[str, Any]:
    from vllm.sampling_params import RequestOutputKind

    if request.max_tokens < 1 or not 0 <= request.temperature <= 100:
        raise InvalidArgument(
            f"max_tokens {request.max_tokens} is at least 1, and temperature {request.temperature} from 0 to 100"
        )
    return {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "stop_token_ids": list(request.stop_tokens),
        "output_kind": RequestOutputKind.DELTA,
    }


def _seeds(cohort: Cohort, ordinals: Ordinals) -> list[int]:
    own = agent_seeds(cohort.seed, cohort.number[ordinals], torch.device("cpu"))
    bits = counter.bits(own, torch.from_numpy(cohort.step[ordinals]), SAYING_STREAM)
    return [seed & (2**63 - 1) for seed in bits.tolist()]
