"""Iceberg tables in the Glue catalog: `catalog` lists entries, `metadata` reads what a table is, `build` says what to change in it,
`commit` changes it. Only `build` and `commit` import pyiceberg, and only inside functions: a no-op costs no import of it."""
