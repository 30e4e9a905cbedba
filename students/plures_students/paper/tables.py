"""The document's tables: each figure beside what it is compared with and what was aimed at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .summary import LOAD_STUDIES

Found = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """What was measured, what others reached, what students reach, the aim, and whether that was reached."""

    what: str
    others: str
    ours: str
    seeds: str
    aim: str
    reached: bool


def table(rows: Sequence[Row], so_far: str = "") -> str:
    """The rows in Markdown; `so_far` is said behind every verdict that is not the last."""
    lines = ["| | others | Plures | by seed | aim | |", "|---|---|---|---|---|---|"]
    for row in rows:
        verdict = ("reached" if row.reached else "**missed**") + so_far
        lines.append(f"| {row.what} | {row.others} | {row.ours} | {row.seeds} | {row.aim} | {verdict} |")
    return "\n".join(lines)


def bandit_rows(found: Found, references: Found) -> list[Row]:
    names = {"all": "log-loss a press, people held out", "late": "the same, blocks 9 to 12 after living 1 to 8"}
    losses = [
        _loss_row(what, found[part], _known(references[part]), references[part]["gru"]) for part, what in names.items()
    ]
    return [*losses, _becoming(found), _rise(found["open_loop"], references), _runs(found["open_loop"], references)]


def told_apart_table(found: Found) -> str:
    """How well copies' lives are told from people's by their first presses, between the least and the most."""
    lines = ["| first presses | copies | classic learner | halves of the people |", "|---:|---|---|---|"]
    told, floor = found["told_apart"], found["floor"]["told_apart"]
    for copies, classic, halves in zip(told["copies"], floor, told["halves"], strict=True):
        areas = (f"{area['mean']:.3f} [{area['low']:.3f}, {area['high']:.3f}]" for area in (copies, classic))
        lines.append(
            f"| {copies['steps']:,} | {' | '.join(areas)} | {halves['mean']:.3f}, 95 % to {halves['p95']:.3f} |"
        )
    return "\n".join(lines)


def load_rows(found: Found, references: Found) -> list[Row]:
    rows = []
    for study in LOAD_STUDIES:
        gru, published = references["gru"][study], references["published"][study]
        # Of one study it is asked that strangers be foreseen better than by a model fitted to them.
        aim = published if study == "CF12" else gru
        row = _loss_row(f"{study}: log-loss a choice", found[study], f"GRU {gru:.4f}, published {published:.4f}", aim)
        rows.append(replace(row, ours=f"{row.ours}; {_beyond(found[study]['published'])}"))
    return [*rows, *(_curves(study, found[study]["open_loop"]) for study in LOAD_STUDIES)]


def speed_rows(found: Found, aim: float) -> list[Row]:
    segments, steps = found["segments"]
    return [
        Row(
            f"a step of training, {segments} segments of {steps:,} choices",
            f"a Python loop: {found['loop_seconds']:.2f} s",
            f"{found['scan_seconds']:.3f} s, {found['ratio']:.0f} times as fast",
            "",
            f"≥ {aim:g} times",
            found["ratio"] >= aim,
        )
    ]


def _known(reference: Found) -> str:
    return f"classic {reference['classic']:.4f}, GRU {reference['gru']:.4f}"


def _loss_row(what: str, loss: Found, others: str, aim: float) -> Row:
    ours = f"**{loss['mean']:.4f}** [{loss['low']:.4f}, {loss['high']:.4f}]"
    return Row(what, others, ours, _seeds(loss["by_seed"], "mean", ".4f"), f"< {aim:.4f}", loss["mean"] < aim)


def _beyond(published: Found) -> str:
    """The same people's gain over the published model of each."""
    return f"published less ours {published['mean']:+.4f} [{published['low']:+.4f}, {published['high']:+.4f}]"


def _seeds(entries: Sequence[Found], name: str, form: str) -> str:
    return ", ".join(f"{entry[name]:{form}}" for entry in entries)


def _becoming(found: Found) -> Row:
    gain = found["becoming"]
    ours = f"**{gain['mean']:.4f}** [{gain['low']:.4f}, {gain['high']:.4f}]"
    newborn = f"a newborn in block 9: log-loss {found['newborn']['mean']:.4f}"
    return Row("what living blocks 1 to 8 is worth, nats a press", newborn, ours, "", "> 0", gain["low"] > 0)


def _rise(found: Found, references: Found) -> Row:
    thirds = found["measures"]["best_by_third"]
    people, copies = (" ".join(f"{x:.3f}" for x in thirds[who]["mean"]) for who in ("teacher", "copies"))
    rise, known = found["rise"], references["rise_share"]
    return Row(
        "free: better key, by thirds of a block",
        f"people {people}; of their rise, classic {known['classic']:.0%}, GRU {known['gru']:.0%}",
        f"{copies}; **{rise['share']:.0%}** [{rise['low']:.0%}, {rise['high']:.0%}] of the rise",
        _seeds(found["by_seed"], "rise_share", ".0%"),
        f"≥ {references['rise_share_aim']:.0%}",
        rise["share"] >= references["rise_share_aim"],
    )


def _runs(found: Found, references: Found) -> Row:
    runs, known = found["run_length"], references["run_distance"]
    halves = f"halves of the people {runs['halves']['mean']:.3f} (95 % to {runs['halves']['p95']:.3f})"
    return Row(
        "free: distance of run lengths, W1 of log2",
        f"classic {known['classic']:.3f}, GRU {known['gru']:.3f}; {halves}",
        f"**{runs['distance']:.3f}**",
        _seeds(found["by_seed"], "run_distance", ".3f"),
        f"≤ {references['run_distance_aim']:.2f}",
        runs["distance"] <= references["run_distance_aim"],
    )


def _curves(study: str, found: Found) -> Row:
    halves = found["halves"]
    return Row(
        f"{study}, free: distance of learning curves",
        f"halves of the people {halves['mean']:.3f} (95 % to {halves['p95']:.3f})",
        f"**{found['distance']:.3f}**",
        "",
        "within the halves' 95 %",
        found["distance"] <= halves["p95"],
    )
