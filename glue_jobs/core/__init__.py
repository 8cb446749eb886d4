"""The first generation's name of `dp_foundation`: the same modules, the same calls, for jobs that import `core.*`."""
