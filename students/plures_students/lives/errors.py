"""What can be wrong with recorded lives."""

from plures_kernels.errors import PluresError


class LivesError(PluresError):
    """A data set of lives, or what it is imported from, that breaks its contract; names file, row, column and value."""
