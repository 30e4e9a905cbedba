"""What a server is told at its start: by flags, the environment and one file, in this order of precedence."""

from .options import with_options
from .reading import read_settings
from .tables import QuotaSettings, Settings

__all__ = ["QuotaSettings", "Settings", "read_settings", "with_options"]
