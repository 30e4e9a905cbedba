"""What can be wrong with a named state."""

from plures_kernels.errors import PluresError


class UnknownState(PluresError):
    """No state of that name is in the folder."""


class DamagedState(PluresError):
    """A state's file is not as it was written; nothing of it was taken."""


class StateMismatch(PluresError):
    """A state belongs to another model, or states do not fit together."""
