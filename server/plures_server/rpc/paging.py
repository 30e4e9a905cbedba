"""Lists in pages, as in Google's AIP-158. A token is the name that the page before ended with: nothing is kept."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from ..errors import InvalidArgument

MOST_LISTED = 1000
_LONGEST_TOKEN = 256

T = TypeVar("T")


class Paged(Protocol):
    """A request for a page."""

    page_size: int
    page_token: str


def page_of(found: Sequence[T], request: Paged, name_of: Callable[[T], str]) -> tuple[Sequence[T], str]:
    """The page of a list in order of names, and the token of the next one: empty when there is none."""
    if len(request.page_token) > _LONGEST_TOKEN:
        raise InvalidArgument("page_token is not one that this server gave; begin again without one")
    most = min(request.page_size or MOST_LISTED, MOST_LISTED)
    first = bisect_right(found, request.page_token, key=name_of) if request.page_token else 0
    page = found[first : first + most]
    return page, name_of(page[-1]) if first + most < len(found) else ""
