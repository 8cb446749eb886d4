"""`dp_foundation.quality` under its first name."""
