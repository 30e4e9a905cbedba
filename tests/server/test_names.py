"""Names from the wire: what is one, and what could lead elsewhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plures_server.errors import InvalidArgument
from plures_server.names import beside, check_id, parse

BAD = [
    "",
    "Joe",
    "1joe",
    "-joe",
    "joe_1",
    "joe.1",
    "joe/1",
    "../joe",
    ".",
    "joe\n",
    "joe\0",
    "joe jane",
    "jöe",
    "j" * 64,
    "{joe}",
]


@given(st.from_regex(r"[a-z][a-z0-9-]{0,62}", fullmatch=True))
def test_a_name_is_what_it_says(name: str) -> None:
    assert check_id(name, "cohort") == name
    assert parse(f"cohorts/{name}", "cohorts") == name


@pytest.mark.parametrize("name", BAD, ids=repr)
def test_what_is_no_name_is_refused_with_its_value(name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_id(name, "cohort")
    assert f"cohort {name[:80]!r} is not a name" in str(refused.value)
    with pytest.raises(InvalidArgument):
        parse(f"cohorts/{name}", "cohorts")


@pytest.mark.parametrize("name", ["joe", "cohort/joe", "students/joe", "/joe", "Cohorts/joe"])
def test_another_collection_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a resource name of the form cohorts/…"):
        parse(name, "cohorts")


def test_a_long_name_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse("x" * 1_000_000, "cohorts")
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(("asker", "asked"), [("work", "other"), ("acme~work", "acme~other")])
def test_items_ask_on_queues_of_their_own_tenant(asker: str, asked: str) -> None:
    assert beside("other", asker) == asked
