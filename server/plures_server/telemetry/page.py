"""The table of docs/operations.md: `python -m plures_server.telemetry.page`."""

from .catalogue import METRICS


def table() -> str:
    """All metrics, as Markdown."""
    rows = [
        f"| `{metric.name}{'_total' if metric.kind == 'counter' else ''}` | {metric.kind} "
        f"| {', '.join(f'`{label}`' for label in metric.labels)} | {metric.help} |"
        for metric in METRICS
    ]
    return "\n".join(["| metric | kind | labels | |", "|---|---|---|---|", *rows, ""])


if __name__ == "__main__":
    print(table(), end="")
