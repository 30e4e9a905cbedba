"""Logs to standard error, a line an event: for people, or as JSON; both with the call that they are about."""

import json
import logging
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..access import caller
from .call import current

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("human", "json")


@dataclass(frozen=True)
class LogConfig:
    """`format` is one of FORMATS, `level` of LEVELS."""

    format: str = "human"
    level: str = "info"


class HumanFormatter(logging.Formatter):
    """`2026-01-31 12:00:00,000 INFO plures: words [request=… tenant=…]`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        about = " ".join(f"{key}={value}" for key, value in _about().items())
        return super().formatMessage(record) + (f" [{about}]" if about else "")


class JsonFormatter(logging.Formatter):
    """An object a line: time (RFC 3339, UTC), level, logger, message, the call, and the traceback of an error."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_about(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def set_up(config: LogConfig) -> None:
    """From now on everything that is logged goes to standard error, so."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if config.format == "json" else HumanFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level.upper())


def _about() -> dict[str, str]:
    """Of the call that the line is about, what is known."""
    call = current.get()
    if call is None:
        return {}
    known = {"request": call.request_id, "trace": call.trace_id, "tenant": caller.tenant.get(), "method": call.method}
    return {key: value for key, value in known.items() if value}
