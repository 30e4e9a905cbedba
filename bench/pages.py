"""Tables and pictures of docs/identify.md, horizon.md, vllm.md and kernels.md, from what was measured.

    python bench/pages.py

A table stands between `<!-- name -->` and `<!-- end -->`; whatever was there is replaced.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from matrix_table import scans_table, steps_table
from past_horizon_report import draw_horizon, horizon_table, verdicts
from plures_students.identify.recovery_picture import draw_matrices, draw_parameters
from vllm_table import vllm_table

ROOT = Path(__file__).parents[1]
RESULTS, DOCS = ROOT / "bench" / "results", ROOT / "docs"
PAGES = DOCS / "identify.md", DOCS / "horizon.md", DOCS / "vllm.md", DOCS / "kernels.md"


def result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def filled(text: str) -> str:
    """The page with every table as the results have it."""
    return re.sub(
        r"<!-- (\w+) -->\n.*?<!-- end -->",
        lambda found: f"<!-- {found[1]} -->\n\n{TABLES[found[1]]()}\n\n<!-- end -->",
        text,
        flags=re.DOTALL,
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; the first column is text, the others are numbers."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows))


def recovery_settings() -> str:
    settings = result("recovery")["settings"]
    return f"{settings['lives']} lives of {settings['steps']} steps of each algorithm in `{settings['world']}`."


def recovery_algorithms() -> str:
    found = result("recovery")
    names = list(found["algorithms"])
    rows = [
        (
            name.replace("_", " "),
            f"{found['confusion'][place][place]:.2f}",
            f"{found['inversion'][place][place]:.2f}",
            f"{found['mass'][place][place]:.2f}",
            *(f"{found['other_task'][name][key]:.4f}" for key in ("taken", "known", "another", "chance")),
        )
        for place, name in enumerate(names)
    ]
    heads = "taken for itself", "right when taken", "mass on it", "taken", "known", "another's", "chance"
    return table(["algorithm", *heads], rows)


def recovery_parameters() -> str:
    rows = [
        (f"{name}, {parameter}".replace("_", " "), f"{found['r']:.3f}", f"{found['bias']:+.3f}")
        for name, parameters in result("recovery")["parameters"].items()
        for parameter, found in parameters.items()
    ]
    return table(["parameter", "r", "bias"], rows)


def recovery_outside() -> str:
    outside = result("recovery")["outside"]
    rows = [
        (said.format(name.replace("_", " ")), f"{found['auc']:.3f}", f"{found['alarms']:.0%}")
        for kind, said in (("strangers", "{}"), ("left_out", "{}, left out of the family"))
        for name, found in outside[kind].items()
    ]
    inside = ("the family's own", "", f"{outside['false_alarms']:.1%}")
    return table(["teacher", "AUC", "alarms at 5 %"], [inside, *rows])


def seeds() -> str:
    """A row a teacher and member: means over the trainings, and what lives' intervals span in any of them."""
    trainings: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in result("seeds")["rows"]:
        for member in row["members"]:
            trainings[row["teacher"], member["member"]].append(member)
    ranked = sorted(trainings.items(), key=lambda entry: (entry[0][0], _mean_behind(entry[1])))
    rows = [
        (
            f"{teacher}: {name}".replace("_", " "),
            f"{fmean(member['nll'] for member in members):.4f}",
            f"{_mean_behind(members):.4f}",
            "{:.4f} to {:.4f}".format(
                min(member["behind_best"]["low"] for member in members),
                max(member["behind_best"]["high"] for member in members),
            ),
            _apart([f"{member['behind_best']['mean']:.4f}" for member in members]),
            f"{members[0]['parameters']:,}",
            "" if members[0]["state_bytes"] is None else f"{members[0]['state_bytes']:,}",
        )
        for (teacher, name), members in ranked
    ]
    heads = "nll", "behind the best", "95 % of lives' means", "trainings", "parameters", "state, bytes"
    return table(["teacher: member", *heads], rows)


def _apart(values: Sequence[str]) -> str:
    return " ".join(values if len(set(values)) > 1 else values[:1])


def _mean_behind(members: Sequence[dict[str, Any]]) -> float:
    return fmean(member["behind_best"]["mean"] for member in members)


def horizon() -> str:
    return horizon_table(result("past_horizon"), table)


def horizon_verdicts() -> str:
    return verdicts(result("past_horizon"))


def vllm_agents() -> str:
    return vllm_table(result("vllm-cpu")["rows"], "agents", table)


def vllm_histories() -> str:
    return vllm_table(result("vllm-cpu")["rows"], "history", table)


def matrix_steps() -> str:
    return steps_table(result("matrix-cpu")["rows"], table)


def matrix_scans() -> str:
    return scans_table(result("matrix-cpu")["rows"], table)


TABLES: dict[str, Callable[[], str]] = {
    made.__name__: made
    for made in (
        recovery_settings,
        recovery_algorithms,
        recovery_parameters,
        recovery_outside,
        seeds,
        horizon,
        horizon_verdicts,
        vllm_agents,
        vllm_histories,
        matrix_steps,
        matrix_scans,
    )
}


def main() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text()))
    draw_matrices(DOCS / "recovery.png", result("recovery"))
    draw_parameters(DOCS / "parameters.png", result("recovery"))
    draw_horizon(DOCS / "horizon.png", result("past_horizon"))


if __name__ == "__main__":
    main()
