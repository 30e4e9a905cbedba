"""Resource names, as in Google's AIP-122: `cohorts/joe-1`. Every name from the wire passes through here."""

import re

from .errors import InvalidArgument

_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")


def check_id(identifier: str, what: str) -> str:
    """Return the identifier; raise InvalidArgument unless it is 1–63 of a-z, 0-9 and -, beginning with a letter."""
    if not _ID.fullmatch(identifier):
        raise InvalidArgument(
            f"{what} {identifier[:80]!r} is not a name: use 1 to 63 of a-z, 0-9 and -, beginning with a letter"
        )
    return identifier


def is_id(value: object) -> bool:
    """Whether `check_id` takes it."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def parse(name: str, collection: str) -> str:
    """The identifier in `collection/identifier`."""
    found, _, identifier = name.partition("/")
    if found != collection:
        raise InvalidArgument(f"{name[:80]!r} is not a resource name of the form {collection}/…")
    return check_id(identifier, collection.removesuffix("s"))
