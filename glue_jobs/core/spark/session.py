"""`dp_foundation.spark.session` under its first name."""

from dp_foundation.spark.session import get_spark

__all__ = [
    "get_spark",
]
