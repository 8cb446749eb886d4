"""`dp_foundation.logging.logger` under its first name."""

from dp_foundation.logging.logger import get_logger

__all__ = [
    "get_logger",
]
