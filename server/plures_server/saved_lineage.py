"""Lineages in snapshots: for each event an entry in the manifest, and its arrays in a file. Read with suspicion."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DamagedSnapshot
from .lineage import Event, Kind, Lineage, Parents, Rows
from .names import is_id

Arrays = dict[str, NDArray[Any]]
FIELDS: dict[str, type[np.generic]] = {
    "ordinals": np.int64,
    "step": np.int64,
    "parent_ordinals": np.int64,
    "steps": np.int64,
}
PARENT_FIELDS: dict[str, type[np.generic]] = {"ordinals": np.int64, "weights": np.float64}
COPIES = (Kind.FORK, Kind.RESTORE)
PARENTS: dict[Kind, Callable[[int], bool]] = {
    Kind.BIRTH: lambda count: count == 0,
    Kind.FORK: lambda count: count == 1,
    Kind.MERGE: lambda count: count >= 1,
    Kind.RESTORE: lambda count: count == 1,
    Kind.BECOME: lambda count: count == 0,
}
"""How many cohorts agents come from."""


def encode(events: Sequence[tuple[Lineage, Event]]) -> tuple[list[dict[str, Any]], Arrays]:
    """Entries of the manifest, oldest event first, and arrays by name."""
    entries: list[dict[str, Any]] = []
    arrays: Arrays = {}
    for place, (lineage, event) in enumerate(events):
        arrays |= _arrays(f"{place}.", event, FIELDS)
        for number, parents in enumerate(event.parents):
            arrays |= _arrays(f"{place}.{number}.", parents, PARENT_FIELDS)
        entries.append(
            {
                "number": event.number,
                "kind": event.kind.name,
                "cohort": lineage.cohort,
                "cohort_number": lineage.number,
                "snapshot": event.snapshot,
                "parents": [parents.lineage.number for parents in event.parents],
            }
        )
    return entries, arrays


def decode(entries: Sequence[Any], arrays: Arrays, student: str, numbers: Iterator[int]) -> Lineage:
    """The lineage of the cohort that was saved; its events are numbered anew, in the order they had.

    Raises DamagedSnapshot, saying which event makes no sense.
    """
    known: dict[int, Lineage] = {}
    before = 0
    for place, entry in enumerate(entries):
        try:
            event = _event(place, entry, arrays, known)
            _require(event.number > before, f"number {event.number} comes after {before}")
            lineage = known.setdefault(entry["cohort_number"], Lineage(entry["cohort"], student))
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedSnapshot(f"event {place} of its lineage makes no sense: {error}") from error
        lineage.events.append(replace(event, number=next(numbers)))
        before = event.number
    if not known:
        raise DamagedSnapshot("its lineage has no events")
    return lineage


def _arrays(prefix: str, holder: object, fields: dict[str, type[np.generic]]) -> Arrays:
    found = {name: getattr(holder, name) for name in fields}
    return {prefix + name: values.astype(fields[name]) for name, values in found.items() if values is not None}


def _event(place: int, entry: dict[str, Any], arrays: Arrays, known: dict[int, Lineage]) -> Event:
    number, own, kind = entry["number"], entry["cohort_number"], Kind[entry["kind"]]
    _require(type(number) is int and type(own) is int, "it has no number")
    _require(is_id(entry["cohort"]), "its cohort has no name")
    _require(is_id(entry["snapshot"]) if kind is Kind.RESTORE else entry["snapshot"] == "", "its snapshot has no name")
    _require(own in known if kind is Kind.BECOME else own == number, "its cohort begins otherwise")
    ordinals = _rows(arrays[f"{place}.ordinals"])
    _require(len(ordinals) > 0 and bool((ordinals[1:] > ordinals[:-1]).all()), "its ordinals do not increase")
    parents = tuple(
        _parents(kind, known[lineage], arrays, f"{place}.{each}.") for each, lineage in enumerate(entry["parents"])
    )
    _require(PARENTS[kind](len(parents)), f"it has {len(parents)} parents")
    return Event(
        number,
        kind,
        _steps(arrays[f"{place}.step"], len(ordinals)),
        ordinals,
        parents=parents,
        parent_ordinals=_rows(arrays[f"{place}.parent_ordinals"], len(ordinals)) if kind in COPIES else None,
        steps=_steps(arrays[f"{place}.steps"], len(ordinals)) if kind is Kind.BECOME else None,
        snapshot=entry["snapshot"],
    )


def _parents(kind: Kind, lineage: Lineage, arrays: Arrays, prefix: str) -> Parents:
    if kind is not Kind.MERGE:
        return Parents(lineage)
    ordinals, weights = _rows(arrays[prefix + "ordinals"]), arrays[prefix + "weights"]
    _require(weights.dtype == np.float64 and weights.shape == ordinals.shape, "its weights do not fit")
    _require(bool(np.isfinite(weights).all()), "a weight is not finite")
    return Parents(lineage, ordinals, weights)


def _rows(values: NDArray[Any], count: int | None = None) -> Rows:
    _whole_numbers(values, count)
    _require(bool((values < 1 << 32).all()), "an ordinal is beyond 32 bits")
    return values.astype(np.uint32)


def _steps(values: NDArray[Any], count: int) -> NDArray[np.int64]:
    _whole_numbers(values, count)
    return values


def _whole_numbers(values: NDArray[Any], count: int | None) -> None:
    _require(values.dtype == np.int64 and values.ndim == 1, f"it holds {values.dtype} {list(values.shape)}")
    _require(count is None or len(values) == count, f"it tells of {count} agents, and then of {len(values)}")
    _require(bool((values >= 0).all()), "a number is below 0")


def _require(fact: bool, otherwise: str) -> None:
    if not fact:
        raise ValueError(otherwise)
