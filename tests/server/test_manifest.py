"""A snapshot's manifest: it comes back, or says which entry makes no sense."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plures_server.errors import DamagedSnapshot
from plures_server.manifest import AGENTS, LINEAGE, FileEntry, Manifest, pages_file

SHA = "0123456789abcdef" * 4
ENTRY = {"bytes": 3, "sha256": SHA}
OWN: dict[str, Any] = {AGENTS: ENTRY, LINEAGE: ENTRY}
FILES = {name: FileEntry(3, SHA) for name in (AGENTS, LINEAGE, pages_file(0), pages_file(1))}
GOOD = Manifest("joe", SHA, 2**64 - 1, "crowd", 3, 2, 64, 2, [{"kind": "BIRTH"}], FILES)


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(GOOD.encode()) | changes).encode()


def test_a_manifest_comes_back() -> None:
    assert Manifest.decode(GOOD.encode()) == GOOD


@given(st.lists(st.integers(0, 10**7), unique=True, min_size=2))
def test_files_of_pages_sort_by_number(numbers: list[int]) -> None:
    few = [number for number in numbers if number < 10**5]
    assert sorted(map(pages_file, few)) == list(map(pages_file, sorted(few)))


BAD_ENTRIES: dict[str, list[Any]] = {
    "format": [0, 1, 3, None, "2"],
    "student": ["", "../joe", "Joe", None, 3, "\ud800"],
    "student_digest": ["", SHA[1:], SHA.upper(), None],
    "seed": [-1, 2**64, 1.0, True, "1", None],
    "cohort": ["", "a/b", None],
    "count": [0, -1, 2**32, "3"],
    "alive": [0, None],
    "page_floats": [0, -64, None],
    "pages": [-1, 2**31, None],
    "lineage": [None, {}, [3], ["x"]],
    "files": [
        None,
        [],
        {},
        {pages_file(0): ENTRY},
        {AGENTS: ENTRY},
        OWN | {AGENTS: "abc"},
        OWN | {AGENTS: {"bytes": 3}},
        OWN | {AGENTS: {"bytes": -1, "sha256": SHA}},
        OWN | {AGENTS: {"bytes": 3, "sha256": "abc"}},
        OWN | {"../secret": ENTRY},
        OWN | {"/etc/passwd": ENTRY},
        OWN | {"..": ENTRY},
        OWN | {"": ENTRY},
        OWN | {"pages-00000.safetensors\0": ENTRY},
        OWN | {"pages-00000.safetensors\n": ENTRY},
        OWN | {"manifest.json": ENTRY},
        OWN | {"pages-00000.pt": ENTRY},
        OWN | {"pages-00000.safetensors": None},
    ],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_ENTRIES.items() for value in values], ids=repr
)
def test_an_entry_that_makes_no_sense_is_refused(name: str, value: object) -> None:
    with pytest.raises(
        DamagedSnapshot, match=f"its manifest (has a {name} that makes no sense|is not of format 2)"
    ) as no:
        Manifest.decode(changed(**{name: value}))
    str(no.value).encode()


@pytest.mark.parametrize("name", asdict(GOOD))
def test_a_missing_entry_is_refused(name: str) -> None:
    form = json.loads(GOOD.encode())
    del form[name]
    with pytest.raises(DamagedSnapshot, match="its manifest has the entries"):
        Manifest.decode(json.dumps(form).encode())


def test_an_unknown_entry_is_refused() -> None:
    with pytest.raises(DamagedSnapshot, match="surprise"):
        Manifest.decode(changed(surprise=1))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"null", b"[" * 100_000], ids=lambda data: str(data[:8]))
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedSnapshot, match="its manifest is not"):
        Manifest.decode(data)
