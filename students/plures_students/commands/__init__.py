"""Commands that the students' floor adds to `plures`."""

from .fidelity import fidelity
from .imitate import imitate
from .lives import lives

__all__ = ["fidelity", "imitate", "lives"]
