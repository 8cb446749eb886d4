"""`dp_foundation.logging` under its first name."""
