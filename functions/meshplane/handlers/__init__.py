"""TODO docstring by the package owner."""
