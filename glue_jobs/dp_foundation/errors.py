"""The exceptions that the library raises; every message says what was found, what is allowed and how to mend it.

FoundationError
├── ConfigError      configuration or job arguments that cannot be read
├── TableRefusedError     a call that the manifest forbids: DDL on a declared table, a write that is not declared
├── SchemaMismatchError   a frame that does not fit its table
└── DataError        rows that may not be written: null or duplicate keys, values that cannot be cast
"""

from __future__ import annotations


class FoundationError(Exception):
    """The base of all of them."""


class ConfigError(FoundationError):
    """A configuration file, environment variable or job argument that cannot be read."""


class TableRefusedError(FoundationError):
    """The manifest declares the table, or does not declare this use of it."""


class SchemaMismatchError(FoundationError):
    """The frame's columns do not fit the table's."""


class DataError(FoundationError):
    """Rows that may not be written; the message names the columns and shows a sample."""
