"""Commands that the students' floor adds to `plures`."""

from .lives import lives

__all__ = ["lives"]
