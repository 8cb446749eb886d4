"""`dp_foundation.config.secrets` under its first name."""

from dp_foundation.config.secrets import get_secret

__all__ = [
    "get_secret",
]
