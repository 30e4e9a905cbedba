"""The bench of the server: what the page says is what was measured."""

import json

from .conftest import bench_script

bench_server = bench_script("bench_server")


def test_the_documented_table_is_that_of_the_result(bench_server):
    table = bench_server.markdown(json.loads(bench_server.RESULT.read_text()))
    text = bench_server.DOCS.read_text()
    assert bench_server.insert(text, table) == text, "run `python bench/bench_server.py --write`"


def test_what_was_aimed_at_was_reached(bench_server):
    rows = {(row["what"], row["agents"]): row for row in json.loads(bench_server.RESULT.read_text())["rows"]}
    assert rows["one stream, packed", 262_144]["steps_per_second"] >= 1e6
    assert rows["a million agents in turn", 250_000]["steps_per_second"] >= 1e6
    assert {row["agents"] for row in rows.values()} == {1, 4_096, 65_536, 250_000, 262_144}
