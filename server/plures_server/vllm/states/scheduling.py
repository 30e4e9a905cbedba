"""Named states as vLLM's scheduler sees them: who loads what, who waits, what is saved when a request ends."""

import logging
from dataclasses import dataclass
from typing import Any

from plures_kernels.errors import InvalidArgument, PluresError

from .errors import UnknownState
from .folder import StateFolder, require_model
from .orders import Load, Orders, Outcomes, Refuse, Save, TransferParams
from .state_file import Facts

log = logging.getLogger("vllm.plures")
PLACEHOLDER = 0
"""Stands first in the prompt of a request that loads: vLLM takes it as computed, and so starts from a state."""


@dataclass(frozen=True)
class Base:
    """What an admitted request goes on from. `why`: it is to fail."""

    facts: Facts | None = None
    why: str | None = None


class Scheduling:
    """The scheduler's side of the connector."""

    def __init__(self, folder: StateFolder, model: str, longest: int, page_bytes: int) -> None:
        self._folder, self._model = folder, model
        self._longest, self._page_bytes = longest, page_bytes
        self._bases: dict[str, Base] = {}
        self._orders = Orders()
        # Versions on their way to the disk, and names whose last save failed.
        self._saving: dict[str, Save] = {}
        self._broken: dict[str, str] = {}

    def tokens_in_state(self, request: Any) -> int | None:
        """1, for the placeholder, when the request starts from a state or is to fail, else 0; None: ask again later."""
        # Else vLLM would overrule what is said here for who wants no prefix cache, as prompt_logprobs does.
        request.skip_reading_prefix_cache = False
        known = self._bases.get(request.request_id)
        if known is None:
            asked = _asked(request)
            if isinstance(asked, TransferParams) and self._is_being_saved(asked.load):
                return None
            known = self._admit(request, asked)
            self._bases[request.request_id] = known
        if known.facts is None and known.why is None:
            return 0
        return 1

    def allocated(self, request: Any, block: int) -> None:
        """The request has a block: have the state copied there, or the request fail."""
        base = self._bases[request.request_id]
        if base.why is not None:
            self._orders.refusals.append(Refuse(request.request_id, base.why))
        elif base.facts is not None:
            load = TransferParams.of(request.kv_transfer_params).load
            assert load is not None
            self._orders.loads.append(Load(request.request_id, load, base.facts.version, block))

    def finished(self, request: Any, block: int | None) -> tuple[bool, dict[str, Any] | None]:
        """Whether the block must be kept until its state is copied, and what the caller is told."""
        base, asked = self._bases.pop(request.request_id, None), _asked(request)
        if base is None or base.why is not None or not isinstance(asked, TransferParams) or asked.save is None:
            return False, None
        facts = self._facts(request, base, asked)
        if facts is None or block is None:
            return False, None
        save = Save(request.request_id, asked.save, facts, block, asked.syncs)
        self._orders.saves.append(save)
        self._saving[facts.version] = save
        read = {"tokens": facts.tokens, "pending": list(facts.pending), "version": facts.version}
        return True, {"saved": asked.save, **read}

    def take_orders(self) -> Orders:
        orders, self._orders = self._orders, Orders()
        return orders

    def take_outcomes(self, outcomes: Outcomes) -> None:
        for version, failure in outcomes.saved.items():
            name = self._saving.pop(version).name
            self._broken.pop(name, None)
            if failure is not None:
                log.error("state %s was not saved: %s", name, failure)
                self._broken[name] = failure

    def _admit(self, request: Any, asked: TransferParams | PluresError) -> Base:
        """Look the state up and put what it has yet to read before the prompt."""
        try:
            if isinstance(asked, PluresError):
                raise asked
            _require_plain(request, asked)
            if asked.save is not None:
                self._folder.require_room(self._page_bytes * (1 + len(self._saving)))
            if asked.load is None:
                return Base()
            facts = self._facts_of(asked.load)
            _prepend(request, [PLACEHOLDER, *facts.pending], self._longest)
        except PluresError as error:
            log.warning("request %s fails: %s", request.request_id, error)
            return Base(why=str(error))
        return Base(facts)

    def _facts_of(self, name: str) -> Facts:
        if name in self._broken:
            raise UnknownState(f"the last save of {name!r} failed ({self._broken[name]}); save it anew, or delete it")
        facts = self._folder.facts(name)
        require_model(name, facts, self._model)
        return facts

    def _is_being_saved(self, name: str | None) -> bool:
        waiting = any(save.name == name for save in self._saving.values())
        return name is not None and waiting

    def _facts(self, request: Any, base: Base, asked: TransferParams) -> Facts | None:
        """What there will be to know of the state in the request's block; None when it has none worth keeping."""
        stopped = request.get_finished_reason()
        if str(stopped) not in ("stop", "length") or request.num_computed_tokens > request.num_tokens:
            return None
        before = 0 if base.facts is None else base.facts.tokens - 1  # less the placeholder
        unread = list(request.all_token_ids)[request.num_computed_tokens :]
        if not unread and not asked.keeps_last:
            log.warning("request %s had read its last token when it ended; it is kept", request.request_id)
        pending = tuple(unread) if asked.keeps_last else tuple(unread[:-1])
        return Facts(self._model, before + request.num_computed_tokens, pending).renewed()


def _asked(request: Any) -> TransferParams | PluresError:
    try:
        return TransferParams.of(request.kv_transfer_params)
    except InvalidArgument as error:
        return error


def _require_plain(request: Any, asked: TransferParams) -> None:
    params = request.sampling_params
    if asked.load is None and asked.save is None:
        return
    if request.prompt_token_ids is None or params is None:
        raise InvalidArgument("named states are for prompts of tokens or text that is to be generated from")
    if asked.save is not None and params.stop:
        raise InvalidArgument(
            f"save and the stop strings {params.stop} do not go together: by the time that they are seen, the model "
            "has gone on; use stop_token_ids, or max_tokens"
        )
    if asked.load is not None and params.prompt_logprobs is not None:
        raise InvalidArgument("prompt_logprobs cannot be told of a prompt that goes on from a state; leave it out")


def _prepend(request: Any, tokens: list[int], longest: int) -> None:
    """Put tokens before a prompt that nobody has looked at yet."""
    room = longest - request.num_prompt_tokens - len(tokens)
    if room < 1:
        raise InvalidArgument(
            f"{request.num_prompt_tokens} new tokens and {len(tokens)} that the state has yet to read leave no room in "
            f"--max-model-len {longest}; send them in several calls"
        )
    request.max_tokens = min(request.max_tokens, room)
    request.prompt_token_ids = [*tokens, *request.prompt_token_ids]
    request._all_token_ids[:0] = tokens
    request.num_prompt_tokens += len(tokens)
