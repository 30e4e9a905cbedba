"""Answers from the engine's thread to whoever waits, who may have gone."""

from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def answer(future: "Future[T]", outcome: T | BaseException) -> None:
    """Resolve the future with a result or an exception, unless it was cancelled."""
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
