"""Recurrent states that have a name: files in a folder, and the connector by which vLLM takes and leaves them there.

`folder` and `state_file` know nothing of vLLM: any program may list, fork, merge, export or delete with them.
"""

from .errors import DamagedState, StateMismatch, UnknownState
from .folder import StateFolder
from .state_file import Facts, State

__all__ = ["DamagedState", "Facts", "State", "StateFolder", "StateMismatch", "UnknownState"]
