"""Lives from a CSV file."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from plures_students.lives import Lives, LivesError, Mapping, import_csv

MAPPING = """
[card]
title = "Two people, two keys"
observation_space = { type = "Discrete", n = 1 }
action_space = { type = "Discrete", n = 2 }

[columns]
life = "who"
action = { from = "key", values = { left = 0, right = 1 } }
reward = "paid"
block = "block"

[derive]
episode = "block"
best_action = { from = "good", equals = "yes" }
seconds = { from = "time", unit = 0.001, unit_of_life = { zoe = 1.0 } }
"""

# People alternate in the file; zoe's clock counts seconds.
TABLE = """who,key,paid,block,good,time
zoe,left,1,1,yes,10
adam,right,0,1,no,2000
zoe,right,0,1,no,10.5
adam,right,0,2,yes,2500
zoe,right,0,2,yes,20
adam,left,1,2,no,2750
"""


def imported(directory: Path, table: str = TABLE, mapping: str = MAPPING) -> Lives:
    (directory / "map.toml").write_text(mapping)
    (directory / "table.csv").write_text(table)
    return import_csv(directory / "table.csv", Mapping.load(directory / "map.toml"))


def test_rows_are_gathered_by_life_and_numbered(tmp_path: Path) -> None:
    lives = imported(tmp_path)
    assert lives.life_L.tolist() == [1, 2]
    assert lives.step_N.tolist() == [0, 1, 2, 0, 1, 2]
    assert lives.action_N.tolist() == [1, 1, 0, 0, 1, 1]
    assert lives.reward_N.tolist() == [0, 0, 1, 1, 0, 0]


def test_what_is_derived_follows_the_episodes(tmp_path: Path) -> None:
    lives = imported(tmp_path)
    assert lives.done_N.tolist() == [True, False, True, False, True, True]
    assert lives.extra["best_action"].tolist() == [0, 1, 1, 0, 0, 1]
    np.testing.assert_allclose(lives.extra["seconds"], [np.nan, np.nan, 0.25, np.nan, 0.5, np.nan])
    assert lives.card.seconds_per_decision == pytest.approx(0.375)


def test_a_gzipped_table_reads_as_the_plain_one(tmp_path: Path) -> None:
    plain = imported(tmp_path)
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(TABLE.encode()))
    zipped = import_csv(tmp_path / "table.csv.gz", Mapping.load(tmp_path / "map.toml"))
    assert zipped.action_N.tolist() == plain.action_N.tolist()


def test_null_is_a_word_and_not_a_missing_value(tmp_path: Path) -> None:
    """The trap of this package's own data set: there, an outcome of "null" says that nothing was paid."""
    mapping = MAPPING.replace('reward = "paid"', 'reward = { from = "paid", values = { null = 0, coin = 1 } }')
    table = TABLE.replace(",0,", ",null,").replace(",1,1,", ",coin,1,").replace(",1,2,", ",coin,2,")
    assert imported(tmp_path, table, mapping).reward_N.tolist() == imported(tmp_path).reward_N.tolist()


def test_rows_that_are_not_kept_are_as_if_never_recorded(tmp_path: Path) -> None:
    lives = imported(tmp_path, mapping=MAPPING + "\n[keep]\ntime = { above = 10 }\n")
    assert lives.lengths.tolist() == [3, 2]
    assert lives.step_N.tolist() == [0, 1, 2, 0, 1]
    assert lives.done_N.tolist() == [True, False, True, True, True]


def test_columns_that_name_a_life_together_are_joined(tmp_path: Path) -> None:
    mapping = MAPPING.replace('life = "who"', 'life = ["who", "good"]').replace("zoe =", '"zoe-no" =')
    lives = imported(tmp_path, mapping=mapping)
    # adam-no, adam-yes, zoe-no, zoe-yes
    assert lives.life_L.tolist() == [1, 2, 3, 4]
    assert lives.lengths.tolist() == [2, 1, 1, 2]


def test_the_row_before_is_seen_within_an_episode(tmp_path: Path) -> None:
    mapping = MAPPING + 'before = { last_key = { of = "action", first = 7 } }\n'
    lives = imported(tmp_path, mapping=mapping)
    assert lives.action_N.tolist() == [1, 1, 0, 0, 1, 1]
    assert lives.extra["last_key"].tolist() == [7, 7, 1, 7, 0, 7]


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (TABLE.replace("key", "knob", 1), "misses the column key .for action.; it has who, knob"),
        (TABLE.replace("zoe,right", "zoe,middle", 1), "key of row 2 is middle; action knows left, right"),
        (TABLE.replace("adam,left,1", "adam,left,"), "paid of row 5 is empty"),
        (TABLE.replace("zoe", "zoey"), "unit_of_life names no life: zoe"),
        ("", "cannot be read as CSV"),
        (TABLE.splitlines()[0] + "\n", "has no rows"),
        (TABLE.replace("10,", "ten,").replace("10\n", "ten\n"), "time holds string, not numbers"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, table: str, complaint: str) -> None:
    with pytest.raises(LivesError, match=complaint):
        imported(tmp_path, table)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[columns]", "[colums]", "misses columns"),
        ('reward = "paid"', "", "columns misses reward"),
        ("from = ", "form = ", "misses from"),
        ("episode =", "epsiode =", "derive has unknown entries: epsiode"),
        ('episode = "block"', 'episode = "blok"', "names blok, which is not one of our columns"),
        ("[card]", "[card", "cannot be read as TOML"),
        ('life = "who"', "life = []", "columns.life is .., not a column or a list of columns"),
        ("[derive]", "[keep]\ntime = { over = 1 }\n[derive]", "keep.time misses above"),
        ("[derive]", "[derive]\nbefore = { x = { of = 'y', first = 0 } }", "before.x names y, which is not one of"),
        ("[derive]", "[keep]\nkey = { above = 1 }\n[derive]", "key holds string, not numbers"),
        ("[derive]", "[keep]\npaid = { above = 'no' }\n[derive]", "keep.paid.above is 'no', not a number"),
        ("[derive]", "[keep]\npaid = { above = 9 }\n[derive]", "no row has all that is to be kept"),
        ("{ left = 0, right = 1 }", "[0, 1]", "columns.action.values is .0, 1., not a table"),
        ("{ left = 0, right = 1 }", "{ left = 'x', right = 1 }", "columns.action.values.left is 'x', not a number"),
        ('from = "key"', "from = 3", "columns.action.from is 3, not the name of a column"),
        ('reward = "paid"', "reward = 3", "columns.reward is 3, not a table"),
        ('episode = "block"', "episode = ['block']", "derive.episode is .'block'., not the name of a column"),
        ("unit = 0.001", "unit = 'ms'", "derive.seconds.unit is 'ms', not a number"),
        ("{ zoe = 1.0 }", "3", "derive.seconds.unit_of_life is 3, not a table"),
    ],
)
def test_a_mapping_that_is_none_is_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(LivesError, match=complaint):
        imported(tmp_path, mapping=MAPPING.replace(old, new))
