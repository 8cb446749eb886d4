"""Iceberg tables: DDL of undeclared ones, maintenance, and what their metadata says."""
