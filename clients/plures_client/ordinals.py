"""Which agents of a cohort: None (all), one ordinal, a range, or a list, as the wire says it."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from plures.v1.tensor_pb2 import OrdinalRange, Ordinals

from .errors import InvalidArgument
from .tensors import cast

OrdinalsLike: TypeAlias = int | range | Sequence[int] | NDArray[np.integer[Any]] | None


def encode(ordinals: OrdinalsLike) -> Ordinals | None:
    """The message for `ordinals`; raise InvalidArgument for what no ordinal can be."""
    if ordinals is None:
        return None
    selected = _as_selection(ordinals)
    if isinstance(selected, range):
        return Ordinals(range=OrdinalRange(first=selected.start, count=len(selected)))
    return Ordinals(packed=selected.tobytes())


def count(ordinals: OrdinalsLike) -> int | None:
    """How many agents are meant; None when that is all there are."""
    return None if ordinals is None else len(_as_selection(ordinals))


def listed(ordinals: int | range | Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Each of them."""
    return np.asarray(_as_selection(ordinals), np.int64)


def slices(ordinals: OrdinalsLike, most: int) -> Iterator[tuple[OrdinalsLike, slice]]:
    """Cut `ordinals` in parts of at most `most` agents, each with the rows that it is of the whole."""
    if ordinals is None:
        yield None, slice(None)
        return
    selected = _as_selection(ordinals)
    for first in range(0, max(len(selected), 1), most):
        rows = slice(first, first + most)
        yield selected[rows], rows


def _as_selection(ordinals: int | range | Sequence[int] | NDArray[np.integer[Any]]) -> range | NDArray[np.uint32]:
    if isinstance(ordinals, int | np.integer):
        ordinals = range(int(ordinals), int(ordinals) + 1)
    if isinstance(ordinals, range) and ordinals.step == 1:
        if ordinals.start < 0 or ordinals.stop > 2**32:
            raise InvalidArgument(f"ordinals from {ordinals.start} to {ordinals.stop - 1}: they are 0 to 2³² - 1")
        return ordinals
    array: NDArray[np.uint32] = cast(ordinals, np.uint32)
    if array.ndim != 1:
        raise InvalidArgument(f"ordinals of shape {array.shape} given; a list has one axis")
    return array
