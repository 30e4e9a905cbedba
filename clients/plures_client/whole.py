"""Whole numbers of the wire, checked before protobuf refuses them in its own words."""

from .errors import InvalidArgument


def whole(value: int, bits: int, what: str) -> int:
    """The value; raise InvalidArgument unless it is a whole number from 0 to 2^bits − 1."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= value < 1 << bits:
        raise InvalidArgument(f"{what} {value!r} is not a whole number from 0 to 2^{bits} - 1")
    return int(value)
