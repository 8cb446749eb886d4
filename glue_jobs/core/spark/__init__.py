"""`dp_foundation.spark` under its first name."""
