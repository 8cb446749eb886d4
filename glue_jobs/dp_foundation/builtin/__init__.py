"""What the built-in jobs do; the scripts in `glue_jobs/jobs/` are their entries."""
