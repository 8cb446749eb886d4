"""Logging of jobs; the root logger is never touched."""
