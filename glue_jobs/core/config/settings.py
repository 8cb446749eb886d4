"""`dp_foundation.config.settings` under its first name."""

from dp_foundation.config.settings import Config, get_config

__all__ = [
    "Config",
    "get_config",
]
