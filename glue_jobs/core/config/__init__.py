"""`dp_foundation.config` under its first name."""
