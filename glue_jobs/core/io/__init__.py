"""`dp_foundation.io` under its first name."""
