"""`dp_foundation.iceberg` under its first name."""
