"""The least time that a step of each rule can take: what it must move (`counting`), by the memory's bandwidth.

On an H200 the figures are predicted, not measured: bytes over the bandwidth at which such a card copies. On a CPU the
bandwidth, of multiplying memory in place, is measured in the same run.
"""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import torch
from common import machine, read_modify_write, seconds_in_turn, write_json
from counting import extents, page_bytes, step_bytes, step_flops
from plures_kernels import RULES
from plures_kernels.memory import empty_pages

WIDTHS = (16, 32, 64, 128)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
AGENTS = {"1k": 1_000, "16k": 16_000, "256k": 256_000, "1M": 1_000_000}
H200_COPY = 4.3e12  # bytes a second, both ways counted
H200_MEMORY = 141e9
H200_FLOPS = 67e12  # float32, without tensor cores

HOME = Path(__file__).parent
RESULT = HOME / "results" / "roofline.json"
DOCS = HOME.parent / "docs" / "kernels.md"
BEGIN, END = "<!-- roofline: written by bench/roofline.py -->\n", "<!-- /roofline -->\n"


@dataclass(frozen=True)
class Row:
    """One head's state a page. Floors in µs by number of agents; None where their pages exceed the card's memory."""

    rule: str
    width: int
    state: str
    page_bytes: int
    bytes: int
    flops: int
    h200_predicted_us: dict[str, float | None]
    cpu_us: dict[str, float]


def rows(cpu_bandwidth: float) -> list[Row]:
    """Every rule, width and dtype of the state; `cpu_bandwidth` in bytes a second."""
    return [_row(rule, width, state, cpu_bandwidth) for rule in RULES for width in WIDTHS for state in DTYPES]


def _row(name: str, width: int, state: str, cpu_bandwidth: float) -> Row:
    rule, known, dtype = RULES[name], extents(width), DTYPES[state]
    page, moved, flops = page_bytes(rule, known, dtype), step_bytes(rule, known, dtype), step_flops(rule, known)
    seconds = max(moved / H200_COPY, flops / H200_FLOPS)
    h200 = {
        label: round(agents * seconds * 1e6, 3) if agents * page <= H200_MEMORY else None
        for label, agents in AGENTS.items()
    }
    cpu = {label: round(agents * moved / cpu_bandwidth * 1e6, 1) for label, agents in AGENTS.items()}
    return Row(name, width, state, page, moved, flops, h200, cpu)


def measure_bandwidth(megabytes: int) -> float:
    """Bytes a second that this machine reads and writes when it multiplies memory in place."""
    buffer = empty_pages(megabytes * 2**18).normal_()
    # The best of many: on a machine with neighbours, most rounds are not.
    seconds = seconds_in_turn({"in place": read_modify_write(buffer)}, budget_seconds=10)["in place"]
    return 2 * buffer.nbytes / seconds


def markdown(table: Sequence[Row], cpu_bandwidth: float, where: str, load: float) -> str:
    """The table as docs/kernels.md has it: float32 and bfloat16 states side by side."""
    bound = sorted({row.rule for row in table if row.flops / row.bytes > H200_FLOPS / H200_COPY})
    floors = [f"{kind}, {label}" for kind in ("H200", "CPU") for label in AGENTS]
    header = ["rule", "d", "page, KiB", "bytes a step", "flops a step", *floors]
    lines = [
        f"One head of d × d a page, states of {' / '.join(DTYPES)}; floors in µs a step of all agents.",
        f"H200: **predicted**, from bytes at {H200_COPY / 1e12:.1f} TB/s; – where the pages exceed its memory.",
        f"The card could do {H200_FLOPS / H200_COPY:.0f} flops a byte; what needs more takes as long as its flops at",
        f"{H200_FLOPS / 1e12:.0f} Tflop/s. These need more at some width: {', '.join(bound) or 'none'}.",
        f"CPU: from bytes at the {cpu_bandwidth / 1e9:.1f} GB/s that multiplying in place was measured to reach on",
        f"{where.partition('; commit')[0]}, at a load average of {load:.0f}: of an idle",
        "machine, floors are lower.",
        "",
        f"| {' | '.join(header)} |",
        "|---" * len(header) + "|",
    ]
    rows_of_one_width = zip(*([iter(table)] * len(DTYPES)), strict=True)
    return "\n".join([*lines, *(_line(of_each_dtype) for of_each_dtype in rows_of_one_width)]) + "\n"


def _line(of_each_dtype: Sequence[Row]) -> str:
    first = of_each_dtype[0]
    cells = [first.rule, str(first.width), _cell(row.page_bytes / 1024 for row in of_each_dtype)]
    cells += [" / ".join(f"{row.bytes:,}" for row in of_each_dtype), f"{first.flops:,}"]
    cells += [_cell(row.h200_predicted_us[label] for row in of_each_dtype) for label in AGENTS]
    cells += [_cell(row.cpu_us[label] for row in of_each_dtype) for label in AGENTS]
    return f"| {' | '.join(cells)} |"


def _cell(values: Iterable[float | None]) -> str:
    """Three digits are enough."""
    return " / ".join("–" if value is None else f"{float(f'{value:.3g}'):,.7g}" for value in values)


def insert(text: str, table: str) -> str:
    """The text with the table between its markers."""
    between = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not between.search(text):
        raise click.ClickException(f"{DOCS} has no lines {BEGIN.strip()} and {END.strip()} to write the table between")
    return between.sub(lambda _: f"{BEGIN}\n{table}\n{END}", text)


@click.command()
@click.option("--write", is_flag=True, help=f"Write {RESULT.name} and the table of {DOCS.name}, too.")
@click.option("--keep", is_flag=True, help=f"Take the CPU's bandwidth from {RESULT.name} instead of measuring it.")
@click.option("--megabytes", default=512, show_default=True, help="Memory to measure by; far more than the caches.")
def main(write: bool, keep: bool, megabytes: int) -> None:
    """Print the least time that a step of each rule can take."""
    if keep:
        known = json.loads(RESULT.read_text())
        bandwidth, where, load = known["cpu_bandwidth"], known["machine"], known["load"]
    else:
        bandwidth, where, load = measure_bandwidth(megabytes), machine(), os.getloadavg()[0]
    table = rows(bandwidth)
    text = markdown(table, bandwidth, where, load)
    click.echo(text)
    if write:
        facts = {"machine": where, "load": load, "cpu_bandwidth": bandwidth}
        write_json(RESULT, "roofline", [asdict(row) for row in table], **facts)
        DOCS.write_text(insert(DOCS.read_text(), text))


if __name__ == "__main__":
    main()
