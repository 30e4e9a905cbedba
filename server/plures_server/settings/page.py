"""docs/configuration.md, made of the tables: `python -m plures_server.settings.page > docs/configuration.md`."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from .setting import Setting, settings_of
from .tables import Settings

_HEAD = """# Configuration

`plures-server` takes each setting from a flag, else from the environment, else from one TOML file, else its default.
`--config FILE`, or `PLURESD_CONFIG`, names the file. What is misspelt, of another type or out of bounds keeps the
server from starting, and is named with the nearest setting there is. Lists are comma-separated in the environment; a
flag is given once an element.

```toml
students = "out/demo/students"

[pool]
max_agents = 1_000_000
memory_gb = 16
```

This page is made of `server/plures_server/settings/tables.py`; a test holds them to each other.
"""


def page() -> str:
    """The whole page."""
    known = list(settings_of(Settings))
    parts = [_HEAD, _table("", "Head of the file", "", known)]
    for one in fields(Settings):
        if is_dataclass(one.type) and isinstance(one.type, type):
            parts.append(_table(one.name, f"`[{one.name}]`", one.type.__doc__ or "", known))
    return "\n".join(parts)


def _table(section: str, title: str, text: str, known: list[Setting]) -> str:
    rows = [_row(one) for one in known if one.section == section]
    head = ["| key | flag | variable | takes | default | |", "|---|---|---|---|---|---|"]
    return "\n".join([f"## {title}\n", *([text, ""] if text else []), *head, *rows, ""])


def _row(one: Setting) -> str:
    flag, variable = (f"`--{one.flag}`", f"`{one.variable}`") if one.flag else ("", "")
    takes = f"list of {_takes(one)}" if one.many else _takes(one)
    return f"| `{one.key}` | {flag} | {variable} | {takes} | {_shown(one.default)} | {one.help} |"


def _takes(one: Setting) -> str:
    kind: Any = one.kind
    if choices := getattr(kind, "choices", None):
        return " or ".join(f"`{choice}`" for choice in choices)
    name = {"text": "string", "path": "path", "boolean": "true or false"}.get(kind.name, kind.name.split()[0])
    bounds = kind._describe_range() if hasattr(kind, "_describe_range") else ""
    return f"{name} {bounds}".strip()


def _shown(default: Any) -> str:
    if default in (None, ()):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return f"`{default}`" if isinstance(default, str | Path) else f"{default:,}"


if __name__ == "__main__":
    print(page(), end="")
