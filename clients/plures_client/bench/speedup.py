"""Everything about how fast copies are, measured in one run against one server."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..client import Client
from . import cost, faithful, parallel, peers, problems, serial
from .cost import Cost
from .faithful import Faithful
from .machine import facts
from .parallel import Parallel
from .peers import Peer
from .problems import Solved
from .serial import Note, Serial
from .settings import Settings
from .spread import Spread


@dataclass(frozen=True)
class Beside:
    """Files that stand beside what is measured: a report of `plures fidelity`, a table of peers."""

    fidelity: Path | None = None
    peers: Path | None = None


@dataclass(frozen=True)
class Speedup:
    """What was found; None or empty for parts that were not asked for. `facts`: machine, commit, versions, date."""

    settings: Settings
    facts: dict[str, Any]
    faithful: list[Faithful]
    serial: Serial
    cost: Cost
    parallel: Parallel | None
    problems: list[Solved]
    peers: list[Peer]


def measure(client: Client, settings: Settings, beside: Beside, note: Note) -> Speedup:
    """Serial first, since the others are read beside it. Raises PluresClientError when the server refuses something."""
    student, device = client.students.get(settings.student), client.pool().device
    known = {
        **facts(), "device": device, "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "student_digest": student.digest, "rule": student.rule, "page_bytes": student.page_bytes,
        "parameters": student.parameters,
    }  # fmt: skip
    found = serial.measure(client, settings, note)
    return Speedup(
        settings=settings,
        facts=known,
        faithful=faithful.read(student, beside.fidelity),
        serial=found,
        cost=cost.measure(client, settings, max(found.paces, key=lambda pace: pace.agents), note),
        parallel=parallel.measure(client, settings, note) if "parallel" in settings.sections else None,
        problems=problems.measure(client, settings, note) if "problems" in settings.sections else [],
        peers=peers.read(beside.peers) if beside.peers else [],
    )


def to_json(found: Speedup) -> dict[str, Any]:
    """As one document; `measurements` are all repeated times by name, which `plures bench compare` reads."""
    settings = {**asdict(found.settings), "sections": sorted(found.settings.sections)}
    measurements = {name: asdict(spread) for name, spread in _measurements(found).items()}
    rest = asdict(found)
    del rest["settings"], rest["facts"]
    return {
        "part": "speedup", "command": f"plures bench speedup {found.settings.student}", **found.facts,
        "settings": settings, "headline": headline(found), **rest,
        "measurements": measurements,
    }  # fmt: skip


def headline(found: Speedup) -> dict[str, float | None]:
    """The figures that one would quote."""
    largest = max(found.serial.paces, key=lambda pace: pace.agents)
    goal = found.serial.at_goal
    return {
        "speed_up_of_one": serial.speed_up(found.settings, found.serial.paces[0].run),
        "speed_up_among_the_most": serial.speed_up(found.settings, largest.run),
        "copies_at_goal": goal.agents if goal else None,
        "most_copies": found.serial.largest.agents,
        "steps_per_second": max(pace.steps_per_second for pace in found.serial.paces),
        "share_of_bandwidth": found.cost.share_of_bandwidth,
    }


def write_json(path: Path, found: Speedup) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_json(found), indent=2) + "\n")


def _measurements(found: Speedup) -> dict[str, Spread]:
    """Every time that was taken again and again, in seconds, under a name that another run gives the same thing."""
    times = {}
    for pace in found.serial.paces:
        times[f"serial, {pace.agents:,} copies, task on the server, s a decision"] = pace.run
        if pace.act is not None:
            times[f"serial, {pace.agents:,} copies, step by step, s a decision"] = pace.act
    if found.parallel is not None:
        for kind, scaling in (("strong", found.parallel.strong), ("weak", found.parallel.weak)):
            for each in scaling.shared:
                times[f"{kind} scaling, {each.copies:,} copies, s an item"] = each.seconds.divided(each.items)
    for solved in found.problems:
        for tried in solved.tries:
            name = f"{solved.problem} by {solved.strategy}, {solved.copies:,} copies, {tried.budget:,} steps, s"
            times[name] = tried.seconds
    return times
