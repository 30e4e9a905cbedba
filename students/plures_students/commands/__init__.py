"""Commands that the students' floor adds to `plures`."""

from .fidelity import fidelity
from .horizon import horizon
from .imitate import imitate
from .lives import lives

__all__ = ["fidelity", "horizon", "imitate", "lives"]
