"""What can be wrong with a student's files."""

from plures_kernels.errors import PluresError


class CheckpointError(PluresError):
    """A student directory that cannot be loaded: a file or tensor missing, extra, damaged or of another shape."""
