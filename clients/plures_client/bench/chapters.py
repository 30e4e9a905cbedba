"""What was found, in words and tables: for the terminal as for the report."""

from pathlib import Path

from ..commands.output import human_bytes
from ..demo.report import Chapter
from .faithful import Faithful
from .peers import Peer
from .problems import Solved
from .serial import Pace, speed_up
from .settings import Settings
from .speedup import Speedup
from .spread import Spread

NONE = "–"


def chapters(found: Speedup, pictures: dict[str, Path]) -> list[Chapter]:
    """The parts that were measured; each with those of the pictures that are its own."""
    parts = [_summary(found), _serial(found), _cost(found)]
    parts += [_parallel(found)] if found.parallel else []
    parts += [_problems(found)] if found.problems else []
    parts += [_peers(found)] if found.peers else []
    return [_with_pictures(part, pictures) for part in parts]


def _with_pictures(part: Chapter, pictures: dict[str, Path]) -> Chapter:
    of_part = {
        "Serial speed-up": ["serial"], "Parallel speed-up": ["parallel"], "Problem speed-up": ["problems"],
        "Cost": ["roofline"],
    }  # fmt: skip
    shown = [pictures[name] for name in of_part.get(part.title, ()) if name in pictures]
    return Chapter(part.title, part.headline, part.text, part.table, shown)


def _summary(found: Speedup) -> Chapter:
    settings, serial = found.settings, found.serial
    one, most = serial.paces[0], max(serial.paces, key=lambda pace: pace.agents)
    goal = f"{serial.at_goal.agents:,}" if serial.at_goal else "none"
    teacher = f"teacher: {settings.teacher_seconds:g} s"
    rows = [["", "copies", "beside"]]
    rows += [
        [
            f"seconds a decision, {_count(pace.agents)} at once",
            f"{pace.run.median:.3g}, {_speed(settings, pace)}",
            teacher,
        ]
        for pace in dict.fromkeys((one, most))
    ]
    rows += [
        [f"copies that each are {settings.goal:g} times as fast", goal, "measured, at most"],
        ["copies that live at once", f"{serial.largest.agents:,}", "room of the server"],
    ]
    rows += [_truth(row) for row in found.faithful]
    return Chapter(
        "Speed beside likeness",
        f"One copy decides {_speed(settings, one)} as fast as its teacher, {most.agents:,} at once "
        f"{_speed(settings, most)} each. {_fidelity_words(found.faithful)}",
        "Likeness is what the student's card and reports say, measured when it was made. Speed that loses the person "
        "does not count.",
        rows,
        [],
    )


def _speed(settings: Settings, pace: Pace) -> str:
    return _times(speed_up(settings, pace.run))


def _serial(found: Speedup) -> Chapter:
    settings, goal = found.settings, found.serial.at_goal
    fast = f"up to {goal.agents:,} copies" if goal else "not even one copy"
    rows = [["copies", "× teacher", "ms a decision", "× step by step", "agent-steps/s", "born in, ms", "states"]]
    rows += [_pace(settings, pace) for pace in found.serial.paces]
    return Chapter(
        "Serial speed-up",
        f"Each is at least {settings.goal:g} times as fast as the teacher: {fast}. "
        f"{found.serial.largest.agents:,} copies are the most that fit.",
        f"The teacher takes {settings.teacher_seconds:g} s for a decision. A copy's are those of a tick in which all "
        "copies of its cohort decide once, asked for over gRPC; the task runs on the server beside them. Step by "
        "step, each decision is a call of its own and the task is the caller's. "
        f"Medians of {settings.repeats} repeats, ± half their range.",
        rows,
        [],
    )


def _pace(settings: Settings, pace: Pace) -> list[str]:
    return [
        f"{pace.agents:,}",
        f"{_times(speed_up(settings, pace.run))} ± {pace.run.percent:.0f} %",
        f"{pace.run.median * 1e3:,.3g}",
        f"{_times(speed_up(settings, pace.act))} ± {pace.act.percent:.0f} %" if pace.act else NONE,
        f"{pace.steps_per_second:,.0f}",
        f"{pace.birth_seconds * 1e3:,.0f}",
        human_bytes(pace.state_bytes),
    ]


def _truth(row: Faithful) -> list[str]:
    beside = f"{row.against}: {row.beside:.3g}" if row.beside is not None else ""
    return [row.measure, f"{row.found:,.4g}", beside]


def _fidelity_words(rows: list[Faithful]) -> str:
    if rows:
        return "The last lines say how like it they are."
    return "How like it they are was not measured: what is fast here may be somebody else."


def _cost(found: Speedup) -> Chapter:
    cost = found.cost
    share = f"{cost.share_of_bandwidth:.0%}" if cost.share_of_bandwidth is not None else NONE
    rows = [
        ["of", f"{cost.agents:,} copies"],
        ["agent-steps a second", f"{cost.steps_per_second:,.0f}"],
        ["… a GiB of states", f"{cost.steps_per_second_a_gib:,.0f}"],
        ["… a watt", f"{cost.steps_a_joule:,.0f}" if cost.steps_a_joule else f"{NONE} (the machine does not tell)"],
        ["bytes a step, at least", f"{cost.bytes:,}"],
        ["flops a step, counted", f"{cost.flops:,}"],
        ["states moved", f"{cost.bytes_per_second / 1e9:.2f} GB/s"],
        ["memory, measured", f"{cost.machine.bytes_per_second / 1e9:.1f} GB/s" if cost.machine else NONE],
        ["share of it", share],
        ["matrix products, measured", f"{cost.machine.flops_per_second / 1e9:.0f} Gflop/s" if cost.machine else NONE],
    ]
    return Chapter(
        "Cost",
        f"{cost.steps_per_second:,.0f} decisions a second, all copies together, move {share} of what memory can.",
        "Bytes: each copy's state read and written once a step. Flops: each slow weight and each number of a state as "
        "often as the rule takes it. Memory and products are measured in the same run, when nothing else is asked for.",
        rows,
        [],
    )


def _parallel(found: Speedup) -> Chapter:
    assert found.parallel is not None
    strong, weak = found.parallel.strong, found.parallel.weak
    last, law = strong.shared[-1], strong.law
    rows = [["copies", "strong: s", "× one copy", "weak: items", "s", "× one copy"]]
    by_copies = {each.copies: (place, each) for place, each in enumerate(strong.shared)}
    for place, each in enumerate(weak.shared):
        in_strong = by_copies.get(each.copies)
        left = [_spread(in_strong[1].seconds), f"{strong.speed_up(in_strong[0]):,.1f}"] if in_strong else [NONE, NONE]
        rows.append(
            [f"{each.copies:,}", *left, f"{each.items:,}", _spread(each.seconds), f"{weak.speed_up(place):,.1f}"]
        )
    return Chapter(
        "Parallel speed-up",
        f"{last.copies:,} copies do the same {last.items:,} items {strong.speed_up(len(strong.shared) - 1):,.0f} times "
        f"as fast as one copy; with as many items a copy, {weak.shared[-1].copies:,} copies get "
        f"{weak.speed_up(len(weak.shared) - 1):,.0f} times as much done.",
        f"Items of {last.steps} steps through the shared queue, from handing them over until the last result was back. "
        f"Gunther's Universal Scalability Law, strong: σ {law.sigma:.2g}, κ {law.kappa:.2g}, peak {_peak(law.peak)}, "
        f"error {law.error:.0%}; weak: σ {weak.law.sigma:.2g}, κ {weak.law.kappa:.2g}, peak {_peak(weak.law.peak)}, "
        f"error {weak.law.error:.0%}.",
        rows,
        [],
    )


def _problems(found: Speedup) -> Chapter:
    solved = [each for each in found.problems if each.seconds is not None]
    rows = [["problem", "strategy", "copies", f"s to {found.settings.quality:.0%}", "steps in all", "best quality"]]
    rows += [_solved(each) for each in found.problems]
    fastest = min(solved, key=lambda each: each.seconds.median) if solved else None  # type: ignore[union-attr]
    return Chapter(
        "Problem speed-up",
        f"{fastest.copies:,} copies solve {fastest.problem} to {fastest.wanted:.0%} by {fastest.strategy} in "
        f"{_spread(fastest.seconds)} s."  # type: ignore[arg-type]
        if fastest
        else f"Nobody reached {found.settings.quality:.0%} within the budgets tried.",
        "Budgets of steps, the same for one copy as for many, grow until the median quality of the repeats, each on a "
        "problem of its own, is good enough; the time is that of this budget alone. Quality is 1 where nothing is left "
        "to be wished.",
        rows,
        [],
    )


def _solved(each: Solved) -> list[str]:
    taken = _spread(each.seconds) if each.seconds else "not reached"
    return [each.problem, each.strategy, f"{each.copies:,}", taken, f"{each.tries[-1].budget:,}", f"{each.best:.3f}"]


def _peers(found: Speedup) -> Chapter:
    rows = [["", "agents", "agent-steps/s", "bytes an agent", "most agents", "p50, ms", ""]]
    rows += [_peer(peer) for peer in found.peers]
    measured = [peer for peer in found.peers if peer.steps_per_second]
    return Chapter(
        "Peers",
        f"{len(measured)} ways to run the same copies, measured in this run; the others say why not.",
        "The same student on the same task and machine. Before anything was timed, what agents do was compared.",
        rows,
        [],
    )


def _peer(peer: Peer) -> list[str]:
    pace = peer.steps_per_second
    return [
        peer.name,
        _count(peer.agents),
        f"{pace.median:,.0f} ± {pace.percent:.0f} %" if pace else NONE,
        _count(peer.bytes_an_agent),
        _count(peer.most_agents),
        f"{peer.p50_ms:.3g}" if peer.p50_ms is not None else NONE,
        peer.note,
    ]


def _count(number: float | None) -> str:
    return NONE if number is None else f"{number:,.0f}"


def _peak(peak: float | None) -> str:
    return f"{peak:,.0f} copies" if peak else "beyond what was tried"


def _spread(spread: Spread) -> str:
    return f"{spread.median:,.3g} ± {spread.percent:.0f} %"


def _times(factor: float) -> str:
    return f"{factor:,.0f}×" if factor >= 10 else f"{factor:.2f}×"
