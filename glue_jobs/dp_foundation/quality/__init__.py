"""Rules on data: what a table's gate judges a run by, and the plain assertions that a job may call (`checks`, `contracts`)."""
