"""Commands that the students' floor adds to `plures`."""

from .fidelity import fidelity
from .horizon import horizon
from .identify import identify
from .imitate import imitate
from .lives import lives
from .paper import paper
from .recover import recover

__all__ = ["fidelity", "horizon", "identify", "imitate", "lives", "paper", "recover"]
