"""What a server does with requests that come over the wire: many small ones, and packed ones.

Correctness first: agents stepped by many clients at once must live as agents stepped by one. The peer, in the same run
and with the same messages from the same clients, is a bare grpc.aio server that answers without doing anything
(`server_echo.py`): the share of its pace that a server keeps is the server's own doing, whatever the machine.

The student is the smallest there is, so that what is measured is the way to it and not its step.
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from common import machine, write_json
from gymnasium.spaces import Discrete
from plures_client import Client
from plures_students.checkpoint import save_checkpoint
from plures_students.config import StudentConfig
from plures_students.model import Student
from rich.console import Console
from rich.table import Table
from server_load import Load, lone_clients, one_stream, step_of

COHORT = "cohorts/bench"
CLIENTS = (1, 100, 1000)
PACKED = (4_096, 65_536, 262_144)
MILLION = 1_000_000
RESULT = Path(__file__).parent / "results" / "server-cpu.json"
DOCS = Path(__file__).parents[1] / "docs" / "serving.md"
BEGIN, END = "<!-- bench_server: begin -->", "<!-- bench_server: end -->"
WINDOW = 8
"""Packed requests in flight on one stream."""


@dataclass(frozen=True)
class Row:
    """One kind of load, on ours and on the peer. `agents`: of one request."""

    what: str
    agents: int
    ours: Load
    echo: Load

    @property
    def steps_per_second(self) -> float:
        return self.agents * self.ours.answers_per_second

    @property
    def share(self) -> float:
        """Of the peer's pace."""
        return self.ours.answers_per_second / self.echo.answers_per_second


def null_student() -> Student:
    """One layer, one head, a state of one number."""
    config = StudentConfig(
        Discrete(1), Discrete(2), width=16, layers=1, heads=1, key_width=1, value_width=1, mlp_width=1
    )
    return Student(config).eval().requires_grad_(False)


@contextmanager
def listening(command: list[str]) -> Iterator[str]:
    """The address that a server of our own says that it listens on."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            found = re.search(r"listens on (\S+)", server.stdout.readline())
            assert found is not None, f"{command[0]} did not start"
            yield found.group(1)
        finally:
            server.terminate()


@contextmanager
def serving(student: Student, agents: int) -> Iterator[tuple[str, str]]:
    """Addresses of a server with so many agents, and of its peer."""
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder, "students", "null"), student, {})
        server = [str(Path(sys.executable).parent / "plures-server"), "--port", "0", "--max-agents", str(2 * agents)]
        server += ["--students", f"{folder}/students", "--data", f"{folder}/data", "--memory-gb", "2"]
        echo = [sys.executable, str(Path(__file__).with_name("server_echo.py"))]
        with listening(server) as ours, listening(echo) as peer:
            with Client(ours) as client:
                client.cohorts.start("bench", student="null", count=agents, seed=1)
            yield ours, peer


def check(address: str, agents: int = 64, steps: int = 20) -> None:
    """Raise unless agents whose steps were joined with others' chose as those stepped all together."""
    with Client(address) as client:
        apart, whole = (client.cohorts.start(name, student="null", count=agents, seed=9) for name in ("apart", "whole"))
        with apart.act_stream(window=agents) as stream:
            sent = [[stream.send([n]) for n in range(agents)] for _ in range(steps)]
            lone = [[pending.result().action[0] for pending in step] for step in sent]
        if not np.array_equal(lone, [whole.act().action for _ in range(steps)]):
            raise click.ClickException("joined agents lived otherwise than alone; no use to time that")
        apart.retire()
        whole.retire()


async def measure(ours: str, echo: str, seconds: float) -> list[Row]:
    """Every load, on ours and on the peer in turn."""
    rows = []
    for clients in CLIENTS:
        loads = [await lone_clients(address, COHORT, clients, seconds) for address in (ours, echo)]
        rows.append(Row(f"{clients:,} clients of one agent", 1, *loads))
    for agents in PACKED:
        requests = [step_of(COHORT, 0, agents)]
        loads = [await one_stream(address, requests, WINDOW, seconds) for address in (ours, echo)]
        rows.append(Row("one stream, packed", agents, *loads))
    quarters = [step_of(COHORT, first, MILLION // 4) for first in range(0, MILLION, MILLION // 4)]
    loads = [await one_stream(address, quarters, WINDOW, seconds) for address in (ours, echo)]
    rows.append(Row("a million agents in turn", MILLION // 4, *loads))
    return rows


def insert(text: str, table: str) -> str:
    """A page with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + table + "\n" + END + rest.partition(END)[2]


def table(rows: list[Row]) -> Table:
    headings = "requests/s", "p50, ms", "p99, ms", "echo: requests/s", "p50, ms", "p99, ms", "share", "agent-steps/s"
    shown = Table("", "agents a request", *headings, title=machine())
    for row in rows:
        figures = [f"{value:,.1f}" for load in (row.ours, row.echo) for value in asdict(load).values()]
        shown.add_row(row.what, f"{row.agents:,}", *figures, f"{row.share:.2f}", f"{row.steps_per_second:,.0f}")
    return shown


def markdown(report: Mapping[str, Any]) -> str:
    """The table of docs/serving.md, from what `--json` wrote."""
    columns = ("load", "agents a request", "requests/s", "p50, p99 ms", "echo: requests/s", "p50, p99 ms", "share")
    head = [f"| {' | '.join(columns)} | agent-steps/s |", "|---" + "|--:" * 7 + "|"]
    rows = []
    for row in report["rows"]:
        waits = [f"{row[who]['p50_ms']:,.1f}, {row[who]['p99_ms']:,.1f}" for who in ("ours", "echo")]
        paces = [f"{row[who]['answers_per_second']:,.0f}" for who in ("ours", "echo")]
        cells = (row["what"], f"{row['agents']:,}", paces[0], waits[0], paces[1], waits[1], f"{row['share']:.2f}")
        rows.append(f"| {' | '.join(cells)} | {row['steps_per_second']:,.0f} |")
    return "\n".join([*head, *rows, "", f"{report['machine']}; `python bench/bench_server.py`."])


@click.command()
@click.option("--seconds", type=click.FloatRange(0.1), default=3.0, help="About how long each measurement goes on.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--write", is_flag=True, help="Put what bench/results/server-cpu.json then has into docs/serving.md.")
def main(seconds: float, json_path: Path | None, write: bool) -> None:
    """Measure small requests of many clients, and packed ones."""
    torch.manual_seed(0)
    with serving(null_student(), MILLION) as (ours, echo):
        check(ours)
        rows = asyncio.run(measure(ours, echo, seconds))
    Console(width=160).print(table(rows))
    if json_path:
        forms = [asdict(row) | {"share": row.share, "steps_per_second": row.steps_per_second} for row in rows]
        write_json(json_path, "server", forms)
    if write:
        DOCS.write_text(insert(DOCS.read_text(), markdown(json.loads(RESULT.read_text()))))


if __name__ == "__main__":
    main()
